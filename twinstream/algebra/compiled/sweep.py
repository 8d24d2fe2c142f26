"""The sweep behind point-in-time features: a key's events and questions in the order of time, with
the tiles of one hop at hand.
"""

# Events and questions of a key, in the order in which they became known:
#
#     known     e1 . e2 . e3 . . e4        learn: into the row of the event's tile
#     known_by     q1     q2      q3       ask: the windows that end at its moment
#
# Rule: a question sees the events with `known` <= `known_by`, whatever their own time. Its oracle
# is `fold` over those alone.

# ruff: noqa: PLR0917 (compiled loops take their arrays by position)
from __future__ import annotations

import numpy as np
import numpy.typing as npt

from twinstream.algebra.answer import answer
from twinstream.algebra.compiled.jit import compiled
from twinstream.algebra.compiled.lifting import tile_of, used
from twinstream.algebra.compiled.reading import gather_entries, scratch, spread_entry, wipe
from twinstream.algebra.compiled.rows import clear, combine, lift
from twinstream.algebra.layout import ADDMAP, COUNT_BITS, COUNT_MASK, FULL_ENTRY, HEADER
from twinstream.algebra.tables import (
    COLUMN,
    FIXED,
    FIXED_END,
    FIXED_WORDS,
    LENGTH_US,
    OFFSET,
    OP,
    SIZE,
    SPARSE,
    SPARSE_END,
    WINDOWS,
    WINDOWS_END,
    Tables,
)

Words = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
ID_BITS = 13  # of a bucket or register


@compiled
def tiles_of(hop: int, run: Words, time: Words) -> tuple[Words, Words]:
    """(the tiles of these events, ascending, each once; the number of each event's tile)."""
    all_tiles = np.empty(len(run), np.int64)
    for i in range(len(run)):
        all_tiles[i] = tile_of(hop, time[run[i]])
    tiles = np.unique(all_tiles)
    return tiles, np.searchsorted(tiles, all_tiles)


@compiled
def fresh_rows(t: Tables, hop: int, count: int) -> Words:
    """Empty rows side by side, without their sparse arrays."""
    size = HEADER + t.hops[hop, FIXED_WORDS]
    rows = np.zeros(count * size, np.int64)
    for i in range(count):
        clear(t.fixed, t.hops[hop, FIXED], t.hops[hop, FIXED_END], rows, i * size)
    return rows


@compiled
def entry_id(op: int, value: int) -> int:
    """The id under which a sparse slot keeps a value."""
    return value if op == ADDMAP else value >> COUNT_BITS


@compiled
def entries_of(
    t: Tables, hop: int, run: Words, tile: Words, values: Words, valid: Flags
) -> tuple[Words, Words]:
    """All sparse entries that these events will ever make: (their names, ascending; [slots, events]
    the entry of each, -1 for none).

    A name is (tile number * sparse slots + slot) << 13 | id, so that a tile's entries lie
    together.
    """
    first, count = t.hops[hop, SPARSE], t.hops[hop, SPARSE_END] - t.hops[hop, SPARSE]
    named = np.empty((count, len(run)), np.int64)
    for s in range(count):
        op, column = t.sparse[first + s, OP], t.sparse[first + s, COLUMN]
        for i in range(len(run)):
            named[s, i] = (
                (tile[i] * count + s) << ID_BITS | entry_id(op, values[column, run[i]])
                if valid[column, run[i]]
                else -1
            )
    names = np.unique(named)
    if len(names) > 0 and names[0] < 0:
        names = names[1:]
    where = np.empty((count, len(run)), np.int64)
    for s in range(count):
        where[s] = np.searchsorted(names, named[s])
        for i in range(len(run)):
            if named[s, i] < 0:
                where[s, i] = -1
    return names, where


@compiled
def learn(
    t: Tables,
    hop: int,
    event: int,
    time: Words,
    position: Words,
    values: Words,
    valid: Flags,
    rows: Words,
    row: int,
    kept: Words,
    where: Words,
) -> None:
    """Let one event into its tile's row and sparse entries."""
    for s in range(t.hops[hop, FIXED], t.hops[hop, FIXED_END]):
        column = t.fixed[s, COLUMN]
        if valid[column, event]:
            lift(
                t.fixed[s, OP],
                rows,
                row + t.fixed[s, OFFSET],
                t.fixed[s, SIZE],
                time[event],
                position[event],
                values[column, event],
            )
    for s in range(len(where)):
        if where[s] >= 0:
            op, column = (
                t.sparse[t.hops[hop, SPARSE] + s, OP],
                t.sparse[t.hops[hop, SPARSE] + s, COLUMN],
            )
            at = where[s]
            kept[at] = (
                min(kept[at] + 1, FULL_ENTRY)
                if op == ADDMAP
                else max(kept[at], values[column, event] & COUNT_MASK)
            )


@compiled
def ask(
    t: Tables,
    hop: int,
    at_us: int,
    tiles: Words,
    rows: Words,
    names: Words,
    begins: Words,
    kept: Words,
    row: Words,
    dense: Words,
    touched: Words,
    out: Floats,
) -> None:
    """Answer the windows of a hop from the tiles as they are."""
    size, count = HEADER + t.hops[hop, FIXED_WORDS], t.hops[hop, SPARSE_END] - t.hops[hop, SPARSE]
    first, last, mask = t.hops[hop, FIXED], t.hops[hop, FIXED_END], (1 << ID_BITS) - 1
    clear(t.fixed, first, last, row, 0)
    end = np.searchsorted(tiles, tile_of(hop, at_us), "right")
    for window in range(t.hops[hop, WINDOWS], t.hops[hop, WINDOWS_END]):
        begin = np.searchsorted(tiles, tile_of(hop, at_us - t.windows[window, LENGTH_US]))
        combine(t.fixed, first, last, row, 0, rows, np.arange(begin, end) * size)
        for i in range(begin, end):
            for e in range(begins[i], begins[i + 1]):
                if kept[e] > 0:
                    s = (names[e] >> ID_BITS) - i * count
                    entry = (names[e] & mask) << COUNT_BITS | kept[e]
                    spread_entry(t.sparse[t.hops[hop, SPARSE] + s, OP], entry, dense[s], touched[s])
        end = begin
        gather_entries(t, hop, row, dense, touched)
        answer(t, hop, window, at_us, row, 0, out)
    wipe(dense, touched)


@compiled
def sweep_key(
    t: Tables,
    hop: int,
    run: Words,
    time: Words,
    position: Words,
    known: Words,
    values: Words,
    valid: Flags,
    asked: Words,
    at_us: Words,
    known_by: Words,
    row: Words,
    dense: Words,
    touched: Words,
    out: Floats,
) -> None:
    """One key, one hop: events `run` and questions `asked`, both in the order of knowledge."""
    tiles, tile = tiles_of(hop, run, time)
    rows = fresh_rows(t, hop, len(tiles))
    names, where = entries_of(t, hop, run, tile, values, valid)
    count = t.hops[hop, SPARSE_END] - t.hops[hop, SPARSE]
    begins = np.searchsorted(names, np.arange(len(tiles) + 1) * count << ID_BITS)
    kept = np.zeros(len(names), np.int64)
    i = 0
    for question in asked:
        while i < len(run) and known[run[i]] <= known_by[question]:
            its = tile[i] * (HEADER + t.hops[hop, FIXED_WORDS])
            learn(t, hop, run[i], time, position, values, valid, rows, its, kept, where[:, i])
            i += 1
        ask(
            t,
            hop,
            at_us[question],
            tiles,
            rows,
            names,
            begins,
            kept,
            row,
            dense,
            touched,
            out[question],
        )


@compiled
def sweep(
    t: Tables,
    order: Words,
    key: Words,
    time: Words,
    position: Words,
    known: Words,
    values: Words,
    valid: Flags,
    asking: Words,
    asked: Words,
    at_us: Words,
    known_by: Words,
    out: Floats,
) -> None:
    """Answer every question; `order` and `asking` sort events and questions by key and then by
    knowledge.
    """
    row, dense, touched = scratch(t)
    for hop in range(4):
        i, q = 0, 0
        while q < len(asking) and used(t, hop):
            k, stop = asked[asking[q]], q
            while stop < len(asking) and asked[asking[stop]] == k:
                stop += 1
            while i < len(order) and key[order[i]] < k:
                i += 1
            j = i
            while j < len(order) and key[order[j]] == k:
                j += 1
            sweep_key(
                t,
                hop,
                order[i:j],
                time,
                position,
                known,
                values,
                valid,
                asking[q:stop],
                at_us,
                known_by,
                row,
                dense,
                touched,
                out,
            )
            i, q = j, stop
