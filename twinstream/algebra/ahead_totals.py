"""Counts, sums, extremes and ends of runs of sorted rows, several runs a question."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Longs = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
HALF = 32
LOW = (1 << HALF) - 1
MOST = np.iinfo(np.int64).max
LEAST = np.iinfo(np.int64).min
NO_ROW = -1


class Segments(NamedTuple):
    """Runs of rows [start, end), in the order of their questions: those of question i begin at
    `first[i]`, and each question has one or more.
    """

    start: Longs
    end: Longs
    first: Longs


def row_counts(of: Segments) -> Longs:
    """Rows of each question."""
    return np.add.reduceat(of.end - of.start, of.first)


def totals_of(
    values: Longs,
    of: Segments,
) -> Floats:
    """Sums of each question's rows, exact in 128 bits, then as floats."""
    high = _sums(values >> HALF, of)
    low = _sums(values & LOW, of)
    high, low = high + (low >> HALF), low & LOW
    narrow = np.abs(high) < 1 << (HALF - 2)
    exact = (np.where(narrow, high, 0) << HALF) + low
    wide = high.astype(np.float64) * 2.0**HALF + low
    return np.where(narrow, exact.astype(np.float64), wide)


def _sums(
    halves: Longs,
    of: Segments,
) -> Longs:
    """Of 32-bit numbers: no total of less than 2**31 rows overflows."""
    running = np.concatenate([np.zeros(1, np.int64), np.cumsum(halves)])
    each = running[of.end] - running[of.start]
    return np.add.reduceat(each, of.first)


def extremes_of(
    values: Longs,
    of: Segments,
    *,
    least: bool,
) -> Longs:
    """The least or the greatest of each question's rows.

    That of a run is that of the two runs of 2**k rows at its ends, which cover it.
    """
    choose = np.minimum if least else np.maximum
    length = of.end - of.start
    best = np.full(len(length), MOST if least else LEAST)
    covered, size = values, 1
    while len(covered) and size <= length.max():
        fits = (size <= length) & (length < 2 * size)
        mine = np.flatnonzero(fits)
        left = covered[of.start[mine]]
        right = covered[of.end[mine] - size]
        best[mine] = choose(left, right)
        covered = choose(covered[:-size], covered[size:])
        size *= 2
    return choose.reduceat(best, of.first)


def first_rows(of: Segments) -> Longs:
    """The first row of each question, NO_ROW where it has none."""
    some = of.end > of.start
    first = np.minimum.reduceat(np.where(some, of.start, MOST), of.first)
    return np.where(first == MOST, NO_ROW, first)


def last_rows(of: Segments) -> Longs:
    """The last row of each question, NO_ROW where it has none."""
    some = of.end > of.start
    return np.maximum.reduceat(np.where(some, of.end - 1, NO_ROW), of.first)
