"""last: the value of the latest record that has one; ties in event time go by position."""

from __future__ import annotations

from twinstream.algebra import layout
from twinstream.algebra.aggregates import last_k
from twinstream.algebra.layout import MOMENT
from twinstream.algebra.slots import Declaration, Documented, Slot, Take, Taken
from twinstream.define.aggregates import Declared, aggregate
from twinstream.define.recording import Condition

FORM, answer = last_k.FORM, last_k.answer
DOCUMENTED = Documented(
    "`last(field)`", "value of the greatest (event time, place in the log)", "null"
)


def last(field: str, *, where: Condition | str | None = None) -> Declared:
    """The value with the latest event time; of equal times the one that came last."""
    return aggregate("last", field, where)


def declare(taken: Taken) -> Declaration:
    return Declaration(FORM, (Slot(layout.LAST, taken.column(Take.VALUE), MOMENT),), power=1)
