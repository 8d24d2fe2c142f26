"""One row: empty, lifted from records, combined with another. The meaning of every op, for the
compiled loops.
"""

# A row, in words (`layout`):
#
#     row                    row + HEADER             row + HEADER + fixed words
#     | rowkey | n words |   | fixed slot | ... |     | n | entry ... | n | entry ... |
#
# A moment of FIRST, LAST and LASTK is | time | position | value |.
# Rule: an op is associative and commutative on every word; `combine` of two rows is what `lift` of
# all their records gives. Its oracle is `tests/laws/test_algebra.py`.

# ruff: noqa: PLR0917 (compiled loops take their arrays by position)
from __future__ import annotations

import numpy as np
import numpy.typing as npt

from twinstream.algebra.compiled.jit import compiled
from twinstream.algebra.compiled.wide import add128, add192, add_count, square
from twinstream.algebra.layout import (
    ADD64,
    ADD128,
    ADDMAP,
    COUNT_BITS,
    COUNT_MASK,
    FIRST,
    FULL_ENTRY,
    HEADER,
    HIGHEST,
    LAST,
    LASTK,
    LOWEST,
    MAX,
    MIN,
    MOMENT,
    MOMENT_POSITION,
    MOMENT_TIME,
    MOMENT_VALUE,
    SQUARE192,
    TALLY,
)
from twinstream.algebra.tables import OFFSET, OP, SIZE

Words = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@compiled
def clear(fixed: Words, first: int, last: int, words: Words, row: int) -> None:
    """Write the empty state of the fixed slots first..last of a row that starts at `row`."""
    for s in range(first, last):
        op = fixed[s, OP]
        at = row + fixed[s, OFFSET]
        for i in range(at, at + fixed[s, SIZE]):
            words[i] = HIGHEST if op == MIN else LOWEST if op == MAX else 0
        if op in (FIRST, LAST, LASTK):
            for i in range(at, at + fixed[s, SIZE], MOMENT):
                words[i + MOMENT_TIME] = HIGHEST if op == FIRST else LOWEST
                words[i + MOMENT_POSITION] = HIGHEST if op == FIRST else LOWEST


@compiled
def later(words: Words, at: int, time: int, position: int, value: int) -> bool:
    """Whether the moment is after the one at `at`."""
    if words[at + MOMENT_TIME] != time:
        return words[at + MOMENT_TIME] < time
    if words[at + MOMENT_POSITION] != position:
        return words[at + MOMENT_POSITION] < position
    return words[at + MOMENT_VALUE] < value


@compiled
def put(words: Words, at: int, time: int, position: int, value: int) -> None:
    """Write a moment."""
    words[at + MOMENT_TIME] = time
    words[at + MOMENT_POSITION] = position
    words[at + MOMENT_VALUE] = value


@compiled
def insert(words: Words, at: int, stop: int, time: int, position: int, value: int) -> None:
    """Put a moment into its place among those in `at..stop`, newest first; the oldest falls out."""
    if not later(words, stop - MOMENT, time, position, value):
        return
    i = stop - MOMENT
    while i > at and later(words, i - MOMENT, time, position, value):
        for word in range(MOMENT):
            words[i + word] = words[i - MOMENT + word]
        i -= MOMENT
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
def lift(op: int, words: Words, at: int, size: int, time: int, position: int, value: int) -> None:
    """Let one record into a fixed slot."""
    if op == ADD64:
        add_count(words, at, value)
    elif op == ADD128:
        add128(words, at, value, value >> 63)
    elif op == SQUARE192:
        low, high = square(value)
        add192(words, at, low, high, 0)
    elif op == TALLY:
        add_count(words, at + value, 1)
    elif op == MIN:
        words[at] = min(words[at], value)
    elif op == MAX:
        words[at] = max(words[at], value)
    else:
        offer(op, words, at, size, time, position, value)


@compiled
def combine(
    fixed: Words, first: int, last: int, words: Words, row: int, other: Words, rows: Words
) -> None:
    """Merge the fixed slots of these rows of `other` into the row at `row`. Slot by slot: an op is
    chosen once.
    """
    for s in range(first, last):
        op, its, size = fixed[s, OP], fixed[s, OFFSET], fixed[s, SIZE]
        at = row + its
        if op in (ADD64, TALLY):
            for r in rows:
                for i in range(size):
                    add_count(words, at + i, other[r + its + i])
        elif op == ADD128:
            for r in rows:
                add128(words, at, other[r + its], other[r + its + 1])
        elif op == SQUARE192:
            for r in rows:
                add192(words, at, other[r + its], other[r + its + 1], other[r + its + 2])
        elif op == MIN:
            for r in rows:
                words[at] = min(words[at], other[r + its])
        elif op == MAX:
            for r in rows:
                words[at] = max(words[at], other[r + its])
        else:
            for r in rows:
                for i in range(r + its, r + its + size, MOMENT):
                    time, position = other[i + MOMENT_TIME], other[i + MOMENT_POSITION]
                    offer(op, words, at, size, time, position, other[i + MOMENT_VALUE])


@compiled
def compact(op: int, words: Words, start: int, stop: int) -> int:
    """Sort the entries in `start..stop` and make those of one id one; the new stop."""
    if stop - start > 1:
        words[start:stop].sort()
    kept = start - 1
    for i in range(start, stop):
        entry = words[i]
        if kept < start or words[kept] >> COUNT_BITS != entry >> COUNT_BITS:
            kept += 1
            words[kept] = entry
        elif op == ADDMAP:
            count = min((words[kept] & COUNT_MASK) + (entry & COUNT_MASK), FULL_ENTRY)
            words[kept] = (entry & ~COUNT_MASK) | count
        else:
            words[kept] = entry
    return kept + 1


@compiled
def sparse_at(words: Words, row: int, fixed_words: int, number: int) -> int:
    """Where the count of a row's sparse array lies."""
    at = row + HEADER + fixed_words
    for _ in range(number):
        at += 1 + words[at]
    return at
