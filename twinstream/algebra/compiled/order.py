"""The order of byte strings: bottom-up merge of runs that are sorted already."""

# ruff: noqa: PLR0917 (compiled loops take their arrays by position)
from __future__ import annotations

import numpy as np
import numpy.typing as npt

from twinstream.algebra.compiled.jit import compiled

Bytes = npt.NDArray[np.uint8]
Words = npt.NDArray[np.int64]


@compiled
def compare(data: Bytes, offsets: Words, a: int, b: int) -> int:
    """Negative, zero or positive, as string a is below, equal to or above string b."""
    i, j = offsets[a], offsets[b]
    length_a, length_b = offsets[a + 1] - i, offsets[b + 1] - j
    for k in range(min(length_a, length_b)):
        if data[i + k] != data[j + k]:
            return -1 if data[i + k] < data[j + k] else 1
    return length_a - length_b


@compiled
def runs(data: Bytes, offsets: Words) -> Words:
    """Starts of the runs that are sorted as they are, then the count of strings."""
    n = len(offsets) - 1
    out = np.empty(n + 1, np.int64)
    found = 0
    for i in range(n):
        if i == 0 or compare(data, offsets, i - 1, i) > 0:
            out[found] = i
            found += 1
    out[found] = n
    return out[: found + 1]


@compiled
def merge_runs(
    data: Bytes, offsets: Words, source: Words, target: Words, start: int, middle: int, stop: int
) -> None:
    """Merge source[start:middle] and source[middle:stop] into target[start:stop]; of equals the
    left comes first.
    """
    i, j = start, middle
    for at in range(start, stop):
        if j >= stop or (i < middle and compare(data, offsets, source[i], source[j]) <= 0):
            target[at] = source[i]
            i += 1
        else:
            target[at] = source[j]
            j += 1


@compiled
def sorted_order(data: Bytes, offsets: Words) -> Words:
    """The numbers of the strings in ascending order; of equals the first comes first."""
    source = np.arange(len(offsets) - 1)
    target = source.copy()
    bounds = runs(data, offsets)
    while len(bounds) > 2:
        kept = np.empty((len(bounds) + 2) // 2, np.int64)
        for pair in range(0, len(bounds) - 1, 2):
            start, middle = bounds[pair], bounds[pair + 1]
            stop = bounds[min(pair + 2, len(bounds) - 1)]
            merge_runs(data, offsets, source, target, start, middle, stop)
            kept[pair // 2] = start
        kept[-1] = bounds[-1]
        bounds = kept
        source, target = target, source
    return source
