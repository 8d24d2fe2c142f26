"""first: the value of the earliest record that has one; ties in event time go by position."""

from __future__ import annotations

from twinstream.algebra import layout
from twinstream.algebra.aggregates import last_k
from twinstream.algebra.layout import MOMENT
from twinstream.algebra.slots import Declaration, Documented, Slot, Take, Taken
from twinstream.define.aggregates import Declared, aggregate
from twinstream.define.recording import Condition

FORM, answer = last_k.FORM, last_k.answer
DOCUMENTED = Documented(
    "`first(field)`", "value of the least (event time, place in the log)", "null"
)


def first(field: str, *, where: Condition | str | None = None) -> Declared:
    """The value with the earliest event time; of equal times the one that came first."""
    return aggregate("first", field, where)


def declare(taken: Taken) -> Declaration:
    return Declaration(FORM, (Slot(layout.FIRST, taken.column(Take.VALUE), MOMENT),), power=1)
