"""The numbers that a view answers, in the types that its definition gives them: integers, exact
decimals, moments, or null and why.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any

import msgspec
import pyarrow as pa

from twinstream.define import View
from twinstream.define.fields.base import FieldType, PublicForm
from twinstream.define.fields.decimal import MOST_DIGITS
from twinstream.define.view import Output

COUNTS = {"count", "count_by"}
OF_A_FIELD = {"sum", "first", "last", "last_k", "maximum", "minimum"}
"""Their answers are sums or values of the field: exact up to 2**52 units of its last place."""
MOST_VIEWS = 1024
"""Of so many it is remembered."""
NO_VALUE, NO_RECORD, FEWER = "no_value_in_window", "no_record_in_window", "fewer_values_than_asked"


class Typed(msgspec.Struct, frozen=True):
    """How one output is answered: where its numbers begin in a row of answers, its Arrow type, and
    a finite number in its type.
    """

    name: str
    at: int
    width: int
    arrow: pa.DataType
    of: Callable[[float], Any]
    why_null: str

    def value(self, row: Sequence[float]) -> Any:
        """Of a row of answers: one value, or a list of them for an output of several numbers."""
        if self.width == 1:
            return self._value(row[self.at])
        return [self._value(x) for x in row[self.at : self.at + self.width]]

    def _value(self, x: float) -> Any:
        return self.of(x) if math.isfinite(x) else None

    @property
    def column(self) -> pa.DataType:
        """The type of its column."""
        return self.arrow if self.width == 1 else pa.list_(self.arrow, self.width)


@lru_cache(maxsize=MOST_VIEWS)
def answers_of(view: View) -> dict[str, Typed]:
    """How each output of a view is answered, by name and in their order."""
    found, at = {}, 0
    for output in view.outputs:
        arrow, of = _form(view, output)
        found[output.name] = Typed(output.name, at, output.width, arrow, of, _why_null(output))
        at += output.width
    return found


def nulls(outputs: Iterable[Typed], features: dict[str, Any]) -> dict[str, str]:
    """Why features are null, or hold nulls."""
    return {o.name: o.why_null for o in outputs if _lacks(features[o.name])}


def _form(view: View, output: Output) -> PublicForm:
    aggregate = output.feature.aggregate
    if aggregate.kind in COUNTS:
        return PublicForm(pa.int64(), int)
    kind = view.source.fields.get(aggregate.field or "")
    if aggregate.kind not in OF_A_FIELD or kind is None:
        return PublicForm(pa.float64(), float)
    return _of_field(kind, aggregate.kind)


def _of_field(kind: FieldType, aggregate: str) -> PublicForm:
    if aggregate == "sum" and not kind.places:
        return PublicForm(pa.decimal128(MOST_DIGITS, 0), int)
    return kind.as_answer()


def _why_null(output: Output) -> str:
    aggregate = output.feature.aggregate
    if aggregate.kind == "last_k":
        return FEWER
    by_record = aggregate.kind == "time_since_last" and aggregate.field is None
    return NO_RECORD if by_record else NO_VALUE


def _lacks(value: Any) -> bool:
    return value is None or (isinstance(value, list) and None in value)
