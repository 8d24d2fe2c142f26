"""One row: empty, lifted from records, combined with another. The meaning of every op, for the compiled loops."""

# ruff: noqa: PLR0917 (compiled loops take their arrays by position)
from __future__ import annotations

import numpy as np
import numpy.typing as npt

from twinstream.algebra.compiled.jit import compiled
from twinstream.algebra.compiled.wide import add64, add128, square
from twinstream.algebra.layout import (
    ADD64,
    ADD128,
    ADDMAP,
    COUNT_BITS,
    COUNT_MASK,
    FINE,
    FIRST,
    HEADER,
    HIGHEST,
    LAST,
    LASTK,
    LOWEST,
    MAX,
    MIN,
    OVER_128,
    SQUARE128,
    TALLY,
)  # fmt: skip

Words = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@compiled
def clear(fixed: Words, first: int, last: int, words: Words, row: int) -> None:
    """Write the empty state of the fixed slots first..last of a row that starts at `row`."""
    for s in range(first, last):
        op = fixed[s, 0]
        at = row + fixed[s, 2]
        for i in range(at, at + fixed[s, 3]):
            words[i] = HIGHEST if op == MIN else LOWEST if op == MAX else 0
        if op in (FIRST, LAST, LASTK):
            for i in range(at, at + fixed[s, 3], 3):
                words[i] = words[i + 1] = HIGHEST if op == FIRST else LOWEST


@compiled
def later(words: Words, at: int, time: int, position: int, value: int) -> bool:
    """Whether the moment is after the one at `at`."""
    if words[at] != time:
        return words[at] < time
    return words[at + 1] < position if words[at + 1] != position else words[at + 2] < value


@compiled
def put(words: Words, at: int, time: int, position: int, value: int) -> None:
    words[at] = time
    words[at + 1] = position
    words[at + 2] = value


@compiled
def insert(words: Words, at: int, stop: int, time: int, position: int, value: int) -> None:
    """Put a moment into its place among those in `at..stop`, newest first; the oldest falls out."""
    if not later(words, stop - 3, time, position, value):
        return
    i = stop - 3
    while i > at and later(words, i - 3, time, position, value):
        put(words, i, words[i - 3], words[i - 2], words[i - 1])
        i -= 3
    put(words, i, time, position, value)


@compiled
def offer(op: int, words: Words, at: int, size: int, time: int, position: int, value: int) -> None:
    """Let a moment into FIRST, LAST or LASTK."""
    if op == LASTK:
        insert(words, at, at + size, time, position, value)
    elif op == LAST:
        if later(words, at, time, position, value):
            put(words, at, time, position, value)
    elif not later(words, at, time, position, value):
        put(words, at, time, position, value)


@compiled
def lift(op: int, words: Words, at: int, size: int, time: int, position: int, value: int) -> int:
    """Let one record into a fixed slot."""
    if op == ADD64:
        return add64(words, at, value)
    if op == ADD128:
        return FINE if add128(words, at, value, value >> 63) else OVER_128
    if op == SQUARE128:
        low, high = square(value)
        return FINE if add128(words, at, low, high) else OVER_128
    if op == TALLY:
        return add64(words, at + value, 1)
    if op == MIN:
        words[at] = min(words[at], value)
    elif op == MAX:
        words[at] = max(words[at], value)
    else:
        offer(op, words, at, size, time, position, value)
    return FINE


@compiled
def combine(fixed: Words, first: int, last: int, words: Words, row: int, other: Words, rows: Words) -> int:
    """Merge the fixed slots of these rows of `other` into the row at `row`; what went wrong, or FINE. Slot by slot: an op is chosen once."""
    fault = FINE
    for s in range(first, last):
        op, its, size = fixed[s, 0], fixed[s, 2], fixed[s, 3]
        at = row + its
        if op in (ADD64, TALLY):
            for r in rows:
                for i in range(size):
                    fault = max(fault, add64(words, at + i, other[r + its + i]))
        elif op in (ADD128, SQUARE128):
            for r in rows:
                if not add128(words, at, other[r + its], other[r + its + 1]):
                    fault = OVER_128
        elif op == MIN:
            for r in rows:
                words[at] = min(words[at], other[r + its])
        elif op == MAX:
            for r in rows:
                words[at] = max(words[at], other[r + its])
        else:
            for r in rows:
                for i in range(r + its, r + its + size, 3):
                    offer(op, words, at, size, other[i], other[i + 1], other[i + 2])
    return fault


@compiled
def compact(op: int, words: Words, start: int, stop: int) -> int:
    """Sort the entries in `start..stop` and make those of one id one; the new stop, or -1 when a count does not fit."""
    if stop - start > 1:
        words[start:stop].sort()
    kept = start - 1
    for i in range(start, stop):
        entry = words[i]
        if kept < start or words[kept] >> COUNT_BITS != entry >> COUNT_BITS:
            kept += 1
            words[kept] = entry
        elif op == ADDMAP:
            count = (words[kept] & COUNT_MASK) + (entry & COUNT_MASK)
            if count > COUNT_MASK:
                return -1
            words[kept] = (entry & ~COUNT_MASK) | count
        else:
            words[kept] = entry
    return kept + 1


@compiled
def sparse_at(words: Words, row: int, fixed_words: int, number: int) -> int:
    """Where the count of a row's sparse array stands."""
    at = row + HEADER + fixed_words
    for _ in range(number):
        at += 1 + words[at]
    return at
