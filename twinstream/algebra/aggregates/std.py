"""std: standard deviation of the population (n), from exact sums."""

from __future__ import annotations

import math

from twinstream.algebra.aggregates.variance import of_units
from twinstream.algebra.compiled.jit import compiled_late
from twinstream.algebra.merged import Merged, Slots
from twinstream.algebra.slots import Declaration, Documented, Taken
from twinstream.define.aggregates import Declared, aggregate
from twinstream.define.recording import Condition

FORM = 4
DOCUMENTED = Documented("`std(field)`", "the root of the variance", "null; one value: 0")


def std(field: str, *, where: Condition | str | None = None) -> Declared:
    """Population standard deviation of the values that are not null."""
    return aggregate("std", field, where)


def declare(taken: Taken) -> Declaration:
    return Declaration(FORM, (taken.total(), taken.count(), taken.squares()), power=1)


@compiled_late
def answer(m: Merged, s: Slots) -> float:
    return math.sqrt(of_units(m, s)) / s.divisor
