"""Answers at a moment: each window's tiles are merged, shortest window first, so that a row is
merged once a hop.
"""

# A window of a hop is a run of its tiles; windows share their newest tiles:
#
#     tiles     ... | 4 | 5 | 6 | 7 |        newest: the tile of the question
#     1 hour                |=======|        merged first, answered
#     1 day         |=======|                merged into the same row, answered
#
# Rule: a row is merged once per hop, into the shortest window that holds it. Its oracle is `fold`.

# ruff: noqa: PLR0917 (compiled loops take their arrays by position)
from __future__ import annotations

import numpy as np
import numpy.typing as npt

from twinstream.algebra.answer import answer
from twinstream.algebra.compiled.jit import compiled
from twinstream.algebra.compiled.lifting import tile_of, used
from twinstream.algebra.compiled.merging import find_rows, hop_of
from twinstream.algebra.compiled.rows import clear, combine
from twinstream.algebra.layout import (
    ADDMAP,
    COUNT_BITS,
    COUNT_MASK,
    FINE,
    FULL_ENTRY,
    HEADER,
    HOP_SHIFT,
    IDS,
    MALFORMED,
)
from twinstream.algebra.tables import (
    FIXED,
    FIXED_END,
    FIXED_WORDS,
    LENGTH_US,
    OP,
    SPARSE,
    SPARSE_END,
    WINDOWS,
    WINDOWS_END,
    Tables,
)

Words = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
FUTURE = 2**62  # beyond every tile
LOW, HIGH = 0, 1  # columns of `touched`: the ids in use of a sparse array


@compiled
def most_sparse(t: Tables) -> int:
    """The most sparse arrays that a row of the plan has."""
    most = 0
    for hop in range(4):
        most = max(most, t.hops[hop, SPARSE_END] - t.hops[hop, SPARSE])
    return most


@compiled
def scratch(t: Tables) -> tuple[Words, Words, Words]:
    """What reads share: a merged row; per sparse array a count or rank for each id, all 0; (lowest,
    highest) id in use.
    """
    sparse = most_sparse(t)
    widest = 0
    for hop in range(4):
        widest = max(widest, t.hops[hop, FIXED_WORDS])
    touched = np.empty((sparse, 2), np.int64)
    touched[:, LOW], touched[:, HIGH] = IDS, -1
    return (
        np.empty(HEADER + widest + sparse * (IDS + 1), np.int64),
        np.zeros((sparse, IDS), np.int64),
        touched,
    )


@compiled
def spread_entry(op: int, entry: int, dense: Words, touched: Words) -> None:
    """Let one sparse entry into its dense array."""
    at, value = entry >> COUNT_BITS, entry & COUNT_MASK
    touched[LOW] = min(touched[LOW], at)
    touched[HIGH] = max(touched[HIGH], at)
    if op != ADDMAP:
        dense[at] = max(dense[at], value)
    else:
        dense[at] = min(dense[at] + value, FULL_ENTRY)


@compiled
def spread_rows(t: Tables, hop: int, words: Words, row: int, dense: Words, touched: Words) -> int:
    """Let the sparse arrays of a row into the dense ones; what went wrong, or FINE.

    Ids are checked all at once, as one that is not a place in `dense` has a bit of its own.
    """
    at = row + HEADER + t.hops[hop, FIXED_WORDS]
    for number in range(t.hops[hop, SPARSE_END] - t.hops[hop, SPARSE]):
        op = t.sparse[t.hops[hop, SPARSE] + number, OP]
        stop, bits = at + 1 + words[at], 0
        for i in range(at + 1, stop):
            bits |= words[i]
        if bits >> COUNT_BITS & ~(IDS - 1):
            return MALFORMED
        for i in range(at + 1, stop):
            spread_entry(op, words[i], dense[number], touched[number])
        at = stop
    return FINE


@compiled
def gather_entries(t: Tables, hop: int, row: Words, dense: Words, touched: Words) -> None:
    """Write the dense arrays as the sparse arrays of the merged row."""
    at = HEADER + t.hops[hop, FIXED_WORDS]
    for number in range(t.hops[hop, SPARSE_END] - t.hops[hop, SPARSE]):
        stop = at + 1
        for i in range(touched[number, LOW], touched[number, HIGH] + 1):
            if dense[number, i] != 0:
                row[stop] = i << COUNT_BITS | dense[number, i]
                stop += 1
        row[at] = stop - at - 1
        at = stop


@compiled
def wipe(dense: Words, touched: Words) -> None:
    """Make the dense arrays 0 again."""
    for number in range(len(dense)):
        for i in range(touched[number, LOW], touched[number, HIGH] + 1):
            dense[number, i] = 0
        touched[number, LOW], touched[number, HIGH] = dense.shape[1], -1


@compiled
def rows_between(
    hop: int, words: Words, rows: Words, oldest: int, end: int, newest: int, found: Words
) -> int:
    """Note the rows whose tile is in `oldest..newest` and before `end`; how many."""
    n = 0
    for r in rows:
        tile = words[r] - (hop << HOP_SHIFT)
        if oldest <= tile < end and tile <= newest:
            found[n] = r
            n += 1
    return n


@compiled
def read_hop(
    t: Tables,
    hop: int,
    words: Words,
    rows: Words,
    at_us: int,
    taken: Words,
    row: Words,
    dense: Words,
    touched: Words,
    out: Floats,
) -> int:
    """Answer all windows of one hop from these rows of it, with room for as many in `taken`; what
    went wrong, or FINE.
    """
    first, last = t.hops[hop, FIXED], t.hops[hop, FIXED_END]
    clear(t.fixed, first, last, row, 0)
    fault, newest, end = FINE, tile_of(hop, at_us), FUTURE
    for window in range(t.hops[hop, WINDOWS], t.hops[hop, WINDOWS_END]):
        oldest = tile_of(hop, at_us - t.windows[window, LENGTH_US])
        new = taken[: rows_between(hop, words, rows, oldest, end, newest, taken)]
        combine(t.fixed, first, last, row, 0, words, new)
        if t.hops[hop, SPARSE_END] > t.hops[hop, SPARSE]:
            for r in new:
                fault = max(fault, spread_rows(t, hop, words, r, dense, touched))
        end = oldest
        gather_entries(t, hop, row, dense, touched)
        answer(t, hop, window, at_us, row, 0, out)
    wipe(dense, touched)
    return fault


@compiled
def read_one(
    t: Tables,
    words: Words,
    offsets: Words,
    pieces: Words,
    at_us: int,
    rows: Words,
    row: Words,
    dense: Words,
    touched: Words,
    out: Floats,
) -> int:
    """Answer everything from the blobs that lie in these pieces; what went wrong, or FINE."""
    found = 0
    for piece in pieces:
        found = find_rows(t.hops, words, offsets[piece], offsets[piece + 1], rows, found)
        if found < 0:
            return MALFORMED
    fault = FINE
    mine, taken = rows[found : 2 * found], rows[2 * found :]
    for hop in range(4):
        if used(t, hop):
            n = 0
            for i in range(found):
                if hop_of(words[rows[i]]) == hop:
                    mine[n] = rows[i]
                    n += 1
            fault = max(
                fault, read_hop(t, hop, words, mine[:n], at_us, taken, row, dense, touched, out)
            )
    return fault


@compiled
def grouped(owner: Words, asked: Words) -> tuple[Words, Words]:
    """(numbers of the pieces by their owner, where those of each owner begin)."""
    keys = 0
    for k in owner:
        keys = max(keys, k + 1)
    for k in asked:
        keys = max(keys, k + 1)
    begins = np.zeros(keys + 1, np.int64)
    for k in owner:
        begins[k + 1] += 1
    for k in range(keys):
        begins[k + 1] += begins[k]
    pieces, following = np.empty(len(owner), np.int64), begins.copy()
    for piece in range(len(owner)):
        pieces[following[owner[piece]]] = piece
        following[owner[piece]] += 1
    return pieces, begins


@compiled
def read_each(
    t: Tables, words: Words, offsets: Words, owner: Words, asked: Words, at_us: Words, out: Floats
) -> int:
    """Answer each question i about key `asked[i]` at `at_us[i]` into out[i]; what went wrong, or
    FINE.

    Piece j, `words[offsets[j]:offsets[j + 1]]`, holds blobs of key `owner[j]`.
    """
    row, dense, touched = scratch(t)
    pieces, begins = grouped(owner, asked)
    most = 0
    for k in range(len(begins) - 1):
        size = 0
        for piece in pieces[begins[k] : begins[k + 1]]:
            size += offsets[piece + 1] - offsets[piece]
        most = max(most, size)
    rows = np.empty(3 * (most // HEADER + 1), np.int64)
    fault = FINE
    for i in range(len(at_us)):
        mine = pieces[begins[asked[i]] : begins[asked[i] + 1]]
        fault = max(
            fault, read_one(t, words, offsets, mine, at_us[i], rows, row, dense, touched, out[i])
        )
    return fault
