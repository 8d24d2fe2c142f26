"""minimum: the least value."""

from __future__ import annotations

import math

from twinstream.algebra import layout
from twinstream.algebra.compiled.jit import compiled_late
from twinstream.algebra.layout import HIGHEST, LOWEST
from twinstream.algebra.merged import Merged, Slots
from twinstream.algebra.slots import Declaration, Documented, Slot, Take, Taken
from twinstream.define.aggregates import Declared, aggregate
from twinstream.define.recording import Condition

FORM = 5
DOCUMENTED = Documented("`minimum(field)`", "least value", "null")


def minimum(field: str, *, where: Condition | str | None = None) -> Declared:
    """The least value."""
    return aggregate("minimum", field, where)


def declare(taken: Taken) -> Declaration:
    return Declaration(FORM, (Slot(layout.MIN, taken.column(Take.VALUE)),), power=1)


@compiled_late
def answer(m: Merged, s: Slots) -> float:
    """Of a slot that holds HIGHEST or LOWEST when there was no value."""
    value = m.words[s.a]
    return math.nan if value in (HIGHEST, LOWEST) else value / s.divisor
