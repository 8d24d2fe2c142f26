"""mean: the exact sum over the exact count, rounded once."""

from __future__ import annotations

import math

from twinstream.algebra.compiled.jit import compiled_late
from twinstream.algebra.compiled.wide import float128
from twinstream.algebra.merged import Merged, Slots, nothing
from twinstream.algebra.slots import Declaration, Documented, Taken
from twinstream.define.aggregates import Declared, aggregate
from twinstream.define.recording import Condition

FORM = 2
DOCUMENTED = Documented("`mean(field)`", "exact sum / exact count", "null")


def mean(field: str, *, where: Condition | str | None = None) -> Declared:
    """Mean of the values that are not null."""
    return aggregate("mean", field, where)


def declare(taken: Taken) -> Declaration:
    return Declaration(FORM, (taken.total(), taken.count()), power=1)


@compiled_late
def answer(m: Merged, s: Slots) -> float:
    count = m.words[s.b]
    total = float128(m.words[s.a], m.words[s.a + 1])
    return math.nan if nothing(count) else total / (float(count) * s.divisor)
