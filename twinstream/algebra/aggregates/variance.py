"""variance of the population (n), from exact sums."""

from __future__ import annotations

import math

from twinstream.algebra.compiled.jit import compiled_late
from twinstream.algebra.compiled.wide import spread
from twinstream.algebra.merged import Merged, Slots, nothing
from twinstream.algebra.slots import Declaration, Documented, Taken
from twinstream.define.aggregates import Declared, aggregate
from twinstream.define.recording import Condition

FORM = 3
DOCUMENTED = Documented(
    "`variance(field)`",
    "of the population (divides by n), from n * sum of squares - (sum)**2 in 256 exact bits: "
    "no cancellation, no overflow",
    "null; one value: 0",
)


def variance(field: str, *, where: Condition | str | None = None) -> Declared:
    """Population variance of the values that are not null."""
    return aggregate("variance", field, where)


def declare(taken: Taken) -> Declaration:
    return Declaration(FORM, (taken.total(), taken.count(), taken.squares()), power=2)


@compiled_late
def answer(m: Merged, s: Slots) -> float:
    return of_units(m, s) / s.divisor


@compiled_late
def of_units(m: Merged, s: Slots) -> float:
    """The variance of the stored integers; null without a value."""
    count = m.words[s.b]
    size = float(count)
    return math.nan if nothing(count) else spread(count, m.words, s.a, s.c) / (size * size)
