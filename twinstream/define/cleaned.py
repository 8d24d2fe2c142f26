"""Runs a source's cleaning rules over a batch in stored form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from twinstream.define.cleaning import Rule
from twinstream.define.fields.base import FieldType
from twinstream.define.source import Source
from twinstream.errors import Reason

LONGEST_SHOWN = 200
_CHANGE: dict[str, Callable[[pa.Array], pa.Array]] = {
    "lower": pc.utf8_lower,
    "upper": pc.utf8_upper,
    "strip": pc.utf8_trim_whitespace,
}


def apply_rules(source: Source, batch: pa.RecordBatch, broken: dict[int, Reason]) -> pa.RecordBatch:
    """The batch with changed values; `broken` gets the first reason of each row that a rule
    refuses.
    """
    for name, rules in source.clean.items():
        at = batch.schema.get_field_index(name)
        column = batch.column(at)
        for rule in rules:
            column = _changed(rule, column)
            for row in _refused(rule, column):
                what = _breaks(rule, source.fields[name], column[row].as_py())
                broken.setdefault(row, Reason.of(name, what))
        batch = batch.set_column(at, batch.schema.field(at), column)
    return batch


def _breaks(rule: Rule, kind: FieldType, stored: Any) -> str:
    return f"{_cut(kind.in_message(stored))} breaks the rule {_cut(rule.text)}"


def cleaned_value(source: Source, name: str, value: Any) -> Any:
    """One stored value as the rules of its field leave it; whether they refuse it is not asked."""
    rules = source.clean.get(name, ())
    if not rules or value is None:
        return value
    column = pa.array([value], source.fields[name].arrow)
    for rule in rules:
        column = _changed(rule, column)
    return column[0].as_py()


def _changed(rule: Rule, column: pa.Array) -> pa.Array:
    if rule.name == "clip" and rule.bounds is not None:
        low, high = (pa.scalar(bound, pa.int64()) for bound in rule.bounds)
        return pc.min_element_wise(
            pc.max_element_wise(column, low, skip_nulls=False), high, skip_nulls=False
        )
    return _CHANGE[rule.name](column) if rule.name in _CHANGE else column


def _refused(rule: Rule, column: pa.Array) -> list[int]:
    bad = _bad(rule, column)
    rows: list[int] = (
        [] if bad is None else np.flatnonzero(bad.to_numpy(zero_copy_only=False)).tolist()
    )
    return rows


def _bad(rule: Rule, column: pa.Array) -> pa.Array | None:
    """Where a value breaks a rule; None for a rule that refuses nothing."""
    if rule.name == "required":
        return column.is_null()
    if rule.name == "between" and rule.bounds is not None:
        return _outside(column, *rule.bounds)
    if rule.name == "one_of":
        known = pc.is_in(column, value_set=pa.array(rule.values, column.type))
        return pc.and_(column.is_valid(), pc.invert(known))
    return None


def _outside(column: pa.Array, low: int, high: int) -> pa.Array:
    return pc.or_(pc.less(column, low), pc.greater(column, high)).fill_null(False)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 3] + "..."
