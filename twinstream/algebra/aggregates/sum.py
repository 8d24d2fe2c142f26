"""sum: exact to 128 bits; null when nothing was summed."""

from __future__ import annotations

import math

from twinstream.algebra.compiled.jit import compiled_late
from twinstream.algebra.compiled.wide import float128
from twinstream.algebra.merged import Merged, Slots, nothing
from twinstream.algebra.slots import Declaration, Documented, Taken
from twinstream.define.aggregates import Declared, aggregate
from twinstream.define.recording import Condition

FORM = 1
DOCUMENTED = Documented("`sum_(field)`", "exact sum", "null")


def sum_(field: str, *, where: Condition | str | None = None) -> Declared:
    """Exact sum; null when no value."""
    return aggregate("sum", field, where)


def declare(taken: Taken) -> Declaration:
    return Declaration(FORM, (taken.total(), taken.count()), power=1)


@compiled_late
def answer(m: Merged, s: Slots) -> float:
    total = float128(m.words[s.a], m.words[s.a + 1])
    return math.nan if nothing(m.words[s.b]) else total / s.divisor
