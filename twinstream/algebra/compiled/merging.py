"""Blobs of equal keys into one: rows in order, rows of one tile combined."""

# Blobs of equal keys lie side by side in `order`; their rows are noted by where each starts:
#
#     words   | row 3 | row 5 |   | row 3 | row 4 |        two blobs of one key
#     out     | row 3 + 3 | row 4 | row 5 |
#
# Rule: equal rowkeys become one row, so a blob has each rowkey once, ascending. Its oracle is the
# plain `fold`.

# ruff: noqa: PLR0917 (compiled loops take their arrays by position)
from __future__ import annotations

import numpy as np
import numpy.typing as npt

from twinstream.algebra.compiled.jit import compiled
from twinstream.algebra.compiled.order import compare
from twinstream.algebra.compiled.rows import combine, compact, sparse_at
from twinstream.algebra.layout import FINE, HALF_HOP, HEADER, HOP_SHIFT, MALFORMED, ROW_WORDS
from twinstream.algebra.tables import (
    FIXED,
    FIXED_END,
    FIXED_WORDS,
    OP,
    SPARSE,
    SPARSE_END,
    WINDOWS,
    WINDOWS_END,
    Tables,
)

Bytes = npt.NDArray[np.uint8]
Words = npt.NDArray[np.int64]


@compiled
def hop_of(key: int) -> int:
    """The hop of a rowkey."""
    return (key + HALF_HOP) >> HOP_SHIFT


@compiled
def row_fits(hops: Words, words: Words, row: int, stop: int) -> bool:
    """Whether a row of this plan lies at `row` and ends by `stop`. Called for every row, so it
    gets one table: a copy of all costs more than it does.
    """
    if row + HEADER > stop:
        return False
    hop, size = hop_of(words[row]), words[row + ROW_WORDS]
    if hop < 0 or hop > 3 or hops[hop, WINDOWS_END] == hops[hop, WINDOWS] or size > stop - row:
        return False
    at = row + HEADER + hops[hop, FIXED_WORDS]
    for _ in range(hops[hop, SPARSE_END] - hops[hop, SPARSE]):
        if at >= row + size or words[at] < 0 or words[at] > size:
            return False
        at += 1 + words[at]
    return at == row + size


@compiled
def find_rows(hops: Words, words: Words, start: int, stop: int, rows: Words, n: int) -> int:
    """Note where the rows of a blob start, after the `n` that are noted; the new count, or -1 when
    it is not a blob of this plan.
    """
    while start < stop:
        if not row_fits(hops, words, start, stop):
            return -1
        rows[n] = start
        n += 1
        start += words[start + ROW_WORDS]
    return n


@compiled
def merge_sort(words: Words, rows: Words) -> None:
    """Order row starts by rowkey, many of them.

    Not numba's argsort: its parts have the same names in machine code as those of its sort
    (`rows.compact`), told apart by a number of the process alone, so code kept on disk by two
    processes could be linked to the wrong ones.
    """
    n = len(rows)
    source, target = rows.copy(), np.empty(n, np.int64)
    width = 1
    while width < n:
        for start in range(0, n, 2 * width):
            middle, stop = min(start + width, n), min(start + 2 * width, n)
            i, j = start, middle
            for at in range(start, stop):
                if j >= stop or (i < middle and words[source[i]] <= words[source[j]]):
                    target[at] = source[i]
                    i += 1
                else:
                    target[at] = source[j]
                    j += 1
        source, target = target, source
        width *= 2
    rows[:] = source


@compiled
def sort_rows(words: Words, rows: Words) -> None:
    """Order row starts by rowkey."""
    for i in range(1, len(rows)):
        if words[rows[i - 1]] > words[rows[i]]:
            break
    else:
        return
    if len(rows) > 48:
        merge_sort(words, rows)
        return
    for i in range(1, len(rows)):
        row, j = rows[i], i
        while j > 0 and words[rows[j - 1]] > words[row]:
            rows[j] = rows[j - 1]
            j -= 1
        rows[j] = row


@compiled
def combine_rows(t: Tables, words: Words, rows: Words, out: Words, at: int) -> int:
    """Write one row for these rows of one rowkey; where it ends."""
    hop = hop_of(words[rows[0]])
    first, last, fixed_words = t.hops[hop, FIXED], t.hops[hop, FIXED_END], t.hops[hop, FIXED_WORDS]
    for i in range(HEADER + fixed_words):
        out[at + i] = words[rows[0] + i]
    combine(t.fixed, first, last, out, at, words, rows[1:])
    stop = at + HEADER + fixed_words
    for number in range(t.hops[hop, SPARSE_END] - t.hops[hop, SPARSE]):
        begin = stop
        stop += 1
        for r in rows:
            its = sparse_at(words, r, fixed_words, number)
            for i in range(words[its]):
                out[stop] = words[its + 1 + i]
                stop += 1
        stop = compact(t.sparse[t.hops[hop, SPARSE] + number, OP], out, begin + 1, stop)
        out[begin] = stop - begin - 1
    out[at + ROW_WORDS] = stop - at
    return stop


@compiled
def merge_rows(t: Tables, words: Words, rows: Words, out: Words, at: int) -> int:
    """Write the canonical blob of these rows; where it ends."""
    sort_rows(words, rows)
    i = 0
    while i < len(rows):
        j = i + 1
        while j < len(rows) and words[rows[j]] == words[rows[i]]:
            j += 1
        if j == i + 1:
            row, size = rows[i], words[rows[i] + ROW_WORDS]
            for k in range(size):
                out[at + k] = words[row + k]
            at += size
        else:
            at = combine_rows(t, words, rows[i:j], out, at)
        i = j
    return at


@compiled
def merge_entries(
    t: Tables, data: Bytes, key_offsets: Words, offsets: Words, words: Words, order: Words
) -> tuple[Words, Words, Words, int]:
    """Blobs in key order into one a key: (words, offsets, number of the first entry of each key,
    what went wrong).
    """
    out = np.empty(len(words), np.int64)
    out_offsets = np.zeros(len(order) + 1, np.int64)
    firsts = np.empty(len(order), np.int64)
    rows = np.empty(len(words) // HEADER + 1, np.int64)
    n, at, i = 0, 0, 0
    while i < len(order):
        firsts[n] = order[i]
        found = 0
        j = i
        while j < len(order) and (j == i or compare(data, key_offsets, order[i], order[j]) == 0):
            found = find_rows(t.hops, words, offsets[order[j]], offsets[order[j] + 1], rows, found)
            if found < 0:
                return out, out_offsets, firsts, MALFORMED
            j += 1
        at = merge_rows(t, words, rows[:found], out, at)
        n += 1
        out_offsets[n] = at
        i = j
    return out[:at], out_offsets[: n + 1], firsts[:n], FINE
