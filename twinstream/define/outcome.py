"""A label's value over the time after the question: an aggregate of records, or a comparison of one
with a number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from twinstream.define.aggregates import Aggregate, Declared, aggregate
from twinstream.define.comparison import OPERATORS, Comparable, Comparison
from twinstream.define.expressions import Expr
from twinstream.define.fields.base import FieldType
from twinstream.define.location import refuse
from twinstream.define.plain import number
from twinstream.define.recording import Condition

VALUES = ("sum", "mean", "minimum", "maximum", "first", "last")
"""Kinds whose answer is in the unit of their field."""
KINDS = ("any", "count", *VALUES, "share", "time_to_first")
NAMES = [f"{kind}_" if kind in {"any", "sum"} else kind for kind in KINDS]
"""Of their constructors."""
Floats = npt.NDArray[np.float64]


def any_(
    condition: Condition | str | None = None, *, where: Condition | str | None = None
) -> Declared:
    """For labels: whether there is a record for which the condition is true; without one, whether
    there is a record. A Bool field's name is a condition too.
    """
    return aggregate(
        "any",
        None,
        where,
        may_lack_field=True,
        label_only=True,
        params={"condition": condition},
    )


def time_to_first(field: str | None = None, *, where: Condition | str | None = None) -> Declared:
    """For labels: seconds from the question to the first record after it; with a field, to the
    first whose field is not null. Null when there is none.
    """
    return aggregate(
        "time_to_first",
        field,
        where,
        any_type=True,
        may_lack_field=True,
        label_only=True,
    )


@dataclass(frozen=True, eq=False)
class OutcomeAggregate:
    """`aggregate` over the records of (t, t + horizon]; compared with `bound`, unless `op` is
    None.
    """

    aggregate: Aggregate
    places: int
    """The stored integers that it aggregates have so many decimal places."""
    op: str | None = None
    bound: float = 0.0

    @property
    def kind(self) -> str:
        """What it is worth: a bool or a number."""
        is_condition = self.op is not None or self.aggregate.kind == "any"
        return "bool" if is_condition else "number"

    def fields(self) -> set[str]:
        """Names of the fields that it reads, beside the event time."""
        of = self.aggregate
        read = set() if of.field is None else {of.field}
        for condition in (of.where, of.params.get("condition")):
            if isinstance(condition, Expr):
                read |= condition.fields()
        return read

    def labels(self, answers: Floats) -> Floats:
        """float64[n], NaN for null: the answers, or 1 where the comparison holds, else 0."""
        if self.op is None:
            return answers
        held = OPERATORS[self.op](answers, self.bound)
        return np.where(np.isnan(answers), np.nan, held.astype(np.float64))

    def canonical(self) -> dict[str, Any]:
        compared = None if self.op is None else [self.op, self.bound]
        return {"aggregate": self.aggregate.canonical(), "compared": compared}

    def __repr__(self) -> str:
        of = self.aggregate
        beside = "" if self.op is None else f" {self.op} {self.bound:g}"
        return f"{of.kind}({of.field or ''}){beside}"


def bound_outcome(
    value: Declared | Comparison,
    fields: Mapping[str, FieldType],
    owner: str,
    what: str,
) -> OutcomeAggregate:
    """The value of a label over a source; refuses what no label can be."""
    if isinstance(value, Declared):
        return _bound(value, fields, owner, what)
    if isinstance(value.right, (Comparable, Comparison)):
        refuse(
            f"{what} compares two aggregates",
            "compare one aggregate with one number, as in count() > 0",
            value.at,
        )
    found = _bound(value.left, fields, owner, what)
    return replace(
        found,
        op=value.op,
        bound=_literal(value, what),
    )


def _literal(value: Comparison, what: str) -> float:
    """What the aggregate is compared with; a Bool's values are 1 and 0."""
    right = value.right
    if isinstance(right, (bool, np.bool_)):
        return float(right)
    return number(right, f"what {what} is compared with", value.at)


def _bound(
    declared: Declared,
    fields: Mapping[str, FieldType],
    owner: str,
    what: str,
) -> OutcomeAggregate:
    if declared.windows:
        refuse(
            f"{what} has a window of its own: .over{declared.windows}",
            "leave it out: a label is over the time from the question to its horizon",
            declared.at,
        )
    if declared.kind not in KINDS:
        refuse(
            f"{what} is {declared.kind}(...), which a label cannot be",
            f"take one of {', '.join(NAMES)}",
            declared.at,
        )
    bound = declared.bound(what, fields, owner)
    if bound.kind in VALUES and bound.field is not None:
        return OutcomeAggregate(bound, fields[bound.field].places)
    return OutcomeAggregate(bound, 0)
