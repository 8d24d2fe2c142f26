"""State words to floats: the one meaning of every answer, run by the fold, the kernel and the reader alike. NaN is null."""

# ruff: noqa: PLR0917 (compiled loops take their arrays by position)
from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from twinstream.algebra.compiled.jit import compiled
from twinstream.algebra.compiled.rows import sparse_at
from twinstream.algebra.compiled.wide import exceeds, float128, spread
from twinstream.algebra.layout import (
    COUNT_BITS,
    COUNT_MASK,
    FULL,
    FULL_ENTRY,
    HIGHEST,
    LOWEST,
    REGISTERS,
    REST,
)
from twinstream.algebra.plan import Tables
from twinstream.algebra.slots import Form

Words = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

COUNT, SUM, MEAN, VARIANCE, DEVIATION = (
    int(Form.COUNT),
    int(Form.SUM),
    int(Form.MEAN),
    int(Form.VARIANCE),
    int(Form.DEVIATION),
)
VALUE, MOMENT, SHARE, COUNTS = int(Form.VALUE), int(Form.MOMENT), int(Form.SHARE), int(Form.COUNTS)
QUANTILE, DISTINCT = int(Form.QUANTILE), int(Form.DISTINCT)


@compiled
def answer(t: Tables, window: int, words: Words, row: int, out: Floats) -> None:
    """Write the outputs of a window (its number in the tables) from the row at `row` that merges its tiles."""
    hop = 0
    while not t.hops[hop, 5] <= window < t.hops[hop, 6]:
        hop += 1
    for i in range(t.windows[window, 1], t.windows[window, 2]):
        form, at = t.outputs[i, 0], t.outputs[i, 5]
        divisor = t.divisors[i]
        if form == MOMENT:
            moments(words, row + t.outputs[i, 1], t.outputs[i, 4], divisor, out, at)
        elif form == COUNTS:
            for k in range(t.outputs[i, 4]):
                out[at + k] = counted(words[row + t.outputs[i, 1] + k])
        elif form in (QUANTILE, DISTINCT):
            start = sparse_at(words, row, t.hops[hop, 4], t.outputs[i, 1])
            entries = words[start + 1 : start + 1 + words[start]]
            if form == DISTINCT:
                out[at] = distinct(entries)
            else:
                out[at] = quantile(entries, t.outputs[i, 6], t.outputs[i, 7], t.buckets) / divisor
        else:
            out[at] = number(
                form,
                words,
                row + t.outputs[i, 1],
                row + t.outputs[i, 2],
                row + t.outputs[i, 3],
                divisor,
            )


@compiled
def number(form: int, words: Words, a: int, b: int, c: int, divisor: float) -> float:
    """The answer of a form that is one number from the fixed words at a, b, c."""
    if form == COUNT:
        return counted(words[a])
    if form == VALUE:
        return math.nan if words[a] in (HIGHEST, LOWEST) else words[a] / divisor
    count = words[b]
    if count in (0, FULL):
        return math.nan
    if form == SHARE:
        return words[a] / count
    if form == SUM:
        return float128(words[a], words[a + 1]) / divisor
    if form == MEAN:
        return float128(words[a], words[a + 1]) / (float(count) * divisor)
    size = float(count)
    variance = spread(count, words, a, c) / (size * size)
    return (math.sqrt(variance) if form == DEVIATION else variance) / divisor


@compiled
def counted(count: int) -> float:
    """A count as a number; null when it has stopped counting."""
    return math.nan if count == FULL else float(count)


@compiled
def moments(words: Words, at: int, width: int, divisor: float, out: Floats, first: int) -> None:
    """The values of moments in their order, then nulls."""
    for k in range(width):
        time = words[at + 3 * k]
        out[first + k] = math.nan if time in (HIGHEST, LOWEST) else words[at + 3 * k + 2] / divisor


@compiled
def quantile(entries: Words, numerator: int, denominator: int, values: Floats) -> float:
    """What stands for the bucket that holds the value of rank floor(q * (n - 1)), counted from 0; null when a bucket is full."""
    n, most = 0, 0
    for entry in entries:
        n += entry & COUNT_MASK
        most = max(most, entry & COUNT_MASK)
    rank = rank_of(numerator, denominator, n - 1) if most < FULL_ENTRY else n
    for entry in entries:
        rank -= entry & COUNT_MASK
        if rank < 0:
            return values[entry >> COUNT_BITS]
    return math.nan


@compiled
def rank_of(numerator: int, denominator: int, last: int) -> int:
    """Exactly floor(numerator * last / denominator): floats come near, products of 128 bits decide."""
    if last <= 2**62 // max(numerator, 1):
        return numerator * last // denominator
    rank = int(numerator / denominator * last)
    while exceeds(rank, denominator, numerator, last):
        rank -= 1
    while not exceeds(rank + 1, denominator, numerator, last):
        rank += 1
    return rank


@compiled
def distinct(entries: Words) -> float:
    """Estimate of how many different values: the improved raw estimator (Ertl, arXiv:1702.01284, algorithm 6). 0 for no register."""
    if len(entries) == 0:
        return 0.0
    ranks = np.zeros(REST + 2, np.int64)
    ranks[0] = REGISTERS - len(entries)
    for entry in entries:
        ranks[min(entry & COUNT_MASK, REST + 1)] += 1
    z = REGISTERS * tau((REGISTERS - ranks[REST + 1]) / REGISTERS)
    for k in range(REST, 0, -1):
        z = 0.5 * (z + ranks[k])
    z += REGISTERS * sigma(ranks[0] / REGISTERS)
    return REGISTERS / (2.0 * math.log(2.0)) * REGISTERS / z if z > 0.0 else math.nan


@compiled
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


@compiled
def tau(x: float) -> float:
    """A third of 1 - x - the sum over k >= 1 of (1 - x**(2**-k))**2 * 2**-k; for registers that are full."""
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
