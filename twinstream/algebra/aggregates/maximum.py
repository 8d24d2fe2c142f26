"""maximum: the greatest value."""

from __future__ import annotations

from twinstream.algebra import layout
from twinstream.algebra.aggregates import minimum
from twinstream.algebra.slots import Declaration, Documented, Slot, Take, Taken
from twinstream.define.aggregates import Declared, aggregate
from twinstream.define.recording import Condition

FORM, answer = minimum.FORM, minimum.answer
DOCUMENTED = Documented("`maximum(field)`", "greatest value", "null")


def maximum(field: str, *, where: Condition | str | None = None) -> Declared:
    """The greatest value."""
    return aggregate("maximum", field, where)


def declare(taken: Taken) -> Declaration:
    return Declaration(FORM, (Slot(layout.MAX, taken.column(Take.VALUE)),), power=1)
