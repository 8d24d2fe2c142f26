"""distinct: approximate count of different values, HyperLogLog of 4096 registers; standard error
1.6 %.
"""

from __future__ import annotations

import math

import numpy as np

from twinstream.algebra import layout
from twinstream.algebra.compiled.jit import compiled_late
from twinstream.algebra.layout import COUNT_MASK, REGISTERS, REST
from twinstream.algebra.merged import Merged, Slots, Words, entries
from twinstream.algebra.slots import Declaration, Documented, Slot, Take, Taken
from twinstream.define.aggregates import Declared, aggregate
from twinstream.define.recording import Condition

FORM = 10
DOCUMENTED = Documented(
    "`distinct(field)`", "estimate of how many different values, standard error 1.6 %", "0"
)


def distinct(field: str, *, where: Condition | str | None = None) -> Declared:
    """How many different values, by HyperLogLog."""
    return aggregate("distinct", field, where, any_type=True)


def declare(taken: Taken) -> Declaration:
    return Declaration(FORM, (Slot(layout.MAXMAP, taken.column(Take.REGISTER), 0),))


@compiled_late
def answer(m: Merged, s: Slots) -> float:
    return estimate(entries(m.words, s.a))


@compiled_late
def estimate(registers: Words) -> float:
    """The improved raw estimator (Ertl, arXiv:1702.01284, algorithm 6). 0 for no register."""
    if len(registers) == 0:
        return 0.0
    ranks = np.zeros(REST + 2, np.int64)
    ranks[0] = REGISTERS - len(registers)
    for entry in registers:
        ranks[min(entry & COUNT_MASK, REST + 1)] += 1
    z = REGISTERS * tau((REGISTERS - ranks[REST + 1]) / REGISTERS)
    for k in range(REST, 0, -1):
        z = 0.5 * (z + ranks[k])
    z += REGISTERS * sigma(ranks[0] / REGISTERS)
    return REGISTERS / (2.0 * math.log(2.0)) * REGISTERS / z if z > 0.0 else math.nan


@compiled_late
def sigma(x: float) -> float:
    """X + the sum over k >= 1 of x**(2**k) * 2**(k - 1); for registers that are 0."""
    if x == 1.0:
        return math.inf
    y, z = 1.0, x
    while True:
        x *= x
        before = z
        z += x * y
        y += y
        if z == before:
            return z


@compiled_late
def tau(x: float) -> float:
    """A third of 1 - x - the sum over k >= 1 of (1 - x**(2**-k))**2 * 2**-k; for registers that are
    full.
    """
    if x in (0.0, 1.0):
        return 0.0
    y, z = 1.0, 1.0 - x
    while True:
        x = math.sqrt(x)
        before = z
        y *= 0.5
        z -= (1.0 - x) ** 2 * y
        if z == before:
            return z / 3.0
