"""Records, ordered by key and tile, into rows."""

# Records come ordered by key, then time; a run of one key and tile becomes a row:
#
#     key    7 7 7 7 9 9           entries   | key | hop | chunk | first word |
#     tile   3 3 4 4 4 4           words     row (7, 3)  row (7, 4)  row (9, 4)
#
# Rule: hop by hop, tiles ascending, so that rows of a key lie in the order of their rowkeys.
# Its oracle is `fold`.

# ruff: noqa: PLR0917, FBT001 (compiled loops take their arrays by position)
from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from twinstream.algebra.compiled.intrinsics import lent, lent_tables
from twinstream.algebra.compiled.jit import compiled
from twinstream.algebra.compiled.rows import clear, compact, lift
from twinstream.algebra.layout import ADDMAP, COUNT_BITS, HEADER, HOP_SHIFT, ROW_KEY, ROW_WORDS
from twinstream.algebra.tables import (
    COLUMN,
    ENTRY_CHUNK,
    ENTRY_COLUMNS,
    ENTRY_HOP,
    ENTRY_KEY,
    ENTRY_START,
    FIXED,
    FIXED_END,
    FIXED_WORDS,
    OFFSET,
    OP,
    SIZE,
    SPARSE,
    SPARSE_END,
    WINDOWS,
    WINDOWS_END,
    Tables,
)
from twinstream.algebra.windows import CHUNK_TILES, HOP_US

Words = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


class RecordColumns(NamedTuple):
    """Records, ordered by key and time: key, time and place in the order of ties [n]; what each
    gives each column, and whether it does [columns, n].
    """

    key: Words
    time: Words
    position: Words
    values: Words
    valid: Flags


class RecordSpan(NamedTuple):
    """The records from `start` on, before `stop`."""

    start: int
    stop: int


class Lifting(NamedTuple):
    """`tiles` [4, records]; where the records of each key end; room for the words and for the
    entries that name them.
    """

    tiles: Words
    ends: Words
    words: Words
    entries: Words


@compiled
def tile_of(hop: int, at: int) -> int:
    """The tile that holds a moment."""
    return at // HOP_US[hop] if hop < 3 else 0


@compiled
def used(t: Tables, hop: int) -> bool:
    """Whether the plan has a window of this hop."""
    return t.hops[hop, WINDOWS_END] > t.hops[hop, WINDOWS]


@compiled
def tiles_of(t: Tables, time: Words) -> Words:
    """[4, n]: the tile of each record at each hop in use."""
    out = np.zeros((4, len(time)), np.int64)
    for hop in range(4):
        if used(t, hop):
            for i in range(len(time)):
                out[hop, i] = tile_of(hop, time[i])
    return out


@compiled
def run_end(tiles: Words, hop: int, start: int, end: int) -> int:
    """End of the run of equal tiles that starts at `start`, at most `end`."""
    stop = start + 1
    while stop < end and tiles[hop, stop] == tiles[hop, start]:
        stop += 1
    return stop


@compiled
def key_ends(key: Words) -> Words:
    """Where the run of each key ends."""
    out = np.empty(len(key), np.int64)
    n = 0
    for i in range(1, len(key) + 1):
        if i == len(key) or key[i] != key[i - 1]:
            out[n] = i
            n += 1
    return out[:n]


@compiled
def measure(t: Tables, tiles: Words, ends: Words) -> tuple[int, int]:
    """(rows, words at most) of the states of these records."""
    rows, words = 0, 0
    for hop in range(4):
        if not used(t, hop):
            continue
        before, start = rows, 0
        for end in ends:
            while start < end:
                start = run_end(tiles, hop, start, end)
                rows += 1
        sparse = t.hops[hop, SPARSE_END] - t.hops[hop, SPARSE]
        words += (rows - before) * (HEADER + t.hops[hop, FIXED_WORDS] + sparse) + tiles.shape[
            1
        ] * sparse
    return rows, words


@compiled
def fill(
    t: Tables, hop: int, records: RecordColumns, span: RecordSpan, words: Words, row: int
) -> None:
    """Write the fixed slots of a row from its records."""
    first, last = t.hops[hop, FIXED], t.hops[hop, FIXED_END]
    clear(t.fixed, first, last, words, row)
    for s in range(first, last):
        op, column, size = t.fixed[s, OP], t.fixed[s, COLUMN], t.fixed[s, SIZE]
        at = row + t.fixed[s, OFFSET]
        for i in range(span.start, span.stop):
            if records.valid[column, i]:
                time, position = records.time[i], records.position[i]
                lift(op, words, at, size, time, position, records.values[column, i])


@compiled
def fill_sparse(
    t: Tables, hop: int, records: RecordColumns, span: RecordSpan, words: Words, at: int
) -> int:
    """Write the sparse arrays of a row from `at` on; where they end."""
    for s in range(t.hops[hop, SPARSE], t.hops[hop, SPARSE_END]):
        op, column = t.sparse[s, OP], t.sparse[s, COLUMN]
        end = at + 1
        for i in range(span.start, span.stop):
            if records.valid[column, i]:
                value = records.values[column, i]
                words[end] = value << COUNT_BITS | 1 if op == ADDMAP else value
                end += 1
        end = compact(op, words, at + 1, end)
        words[at] = end - at - 1
        at = end
    return at


@compiled
def write_row(
    t: Tables, hop: int, records: RecordColumns, span: RecordSpan, made: Lifting, row: int
) -> int:
    """Write the row of the records of one key and tile; where it ends."""
    fill(t, hop, records, span, made.words, row)
    sparse = row + HEADER + t.hops[hop, FIXED_WORDS]
    stop = fill_sparse(t, hop, records, span, made.words, sparse)
    made.words[row + ROW_KEY] = (hop << HOP_SHIFT) + made.tiles[hop, span.start]
    made.words[row + ROW_WORDS] = stop - row
    return stop


@compiled
def opens(entries: Words, n: int, hop: int, chunk: int) -> bool:
    """Whether a row of this hop and chunk is not of the entry before number `n`."""
    return entries[n - 1, ENTRY_HOP] != hop or entries[n - 1, ENTRY_CHUNK] != chunk


@compiled
def open_entry(entries: Words, n: int, key: int, hop: int, chunk: int, at: int) -> None:
    """Note where an entry begins."""
    entries[n, ENTRY_KEY], entries[n, ENTRY_HOP] = key, hop
    entries[n, ENTRY_CHUNK], entries[n, ENTRY_START] = chunk, at


@compiled
def lift_all(
    tables: Tables, since: Words, owned: RecordColumns, room: Lifting, chunked: bool
) -> tuple[int, int]:
    """`lift_rows`, once there is room: (entries, words)."""
    t = lent_tables(tables)
    records = RecordColumns(
        lent(owned.key),
        lent(owned.time),
        lent(owned.position),
        lent(owned.values),
        lent(owned.valid),
    )
    made = Lifting(lent(room.tiles), lent(room.ends), lent(room.words), lent(room.entries))
    n, at, begin = 0, 0, 0
    for end in made.ends:
        opened = n
        for hop in range(4):
            start = begin if used(t, hop) else end
            while start < end:
                stop, tile = run_end(made.tiles, hop, start, end), made.tiles[hop, start]
                if tile >= since[hop]:
                    chunk = tile // CHUNK_TILES[hop]
                    if n == opened or (chunked and opens(made.entries, n, hop, chunk)):
                        open_entry(made.entries, n, records.key[begin], hop, chunk, at)
                        n += 1
                    at = write_row(t, hop, records, RecordSpan(start, stop), made, at)
                start = stop
        begin = end
    return n, at


@compiled
def lift_rows(
    t: Tables, since: Words, records: RecordColumns, chunked: bool
) -> tuple[Words, Words]:
    """Words; [n, 4]: key, hop, chunk and first word of each entry.

    An entry is all rows of a key, or when `chunked` those of a key, hop and chunk; tiles before
    `since` of their hop make no row.
    """
    tiles, ends = tiles_of(t, records.time), key_ends(records.key)
    rows, capacity = measure(t, tiles, ends)
    words, entries = np.empty(capacity, np.int64), np.empty((rows, ENTRY_COLUMNS), np.int64)
    n, at = lift_all(t, since, records, Lifting(tiles, ends, words, entries), chunked)
    return words[:at], entries[:n]


@compiled
def entry_keys(
    data: npt.NDArray[np.uint8], offsets: Words, entries: Words, chunked: bool
) -> tuple[npt.NDArray[np.uint8], Words]:
    """The key of each entry; when `chunked` with its suffix: hop, and chunk as big-endian int32
    with its sign bit flipped.
    """
    n, suffix = len(entries), 5 if chunked else 0
    out_offsets = np.zeros(n + 1, np.int64)
    for i in range(n):
        k = entries[i, ENTRY_KEY]
        out_offsets[i + 1] = out_offsets[i] + offsets[k + 1] - offsets[k] + suffix
    out = np.empty(out_offsets[n], np.uint8)
    for i in range(n):
        start, at = offsets[entries[i, ENTRY_KEY]], out_offsets[i]
        for j in range(out_offsets[i + 1] - suffix - at):
            out[at + j] = data[start + j]
        if chunked:
            at = out_offsets[i + 1] - 5
            out[at] = entries[i, ENTRY_HOP]
            for j in range(4):
                out[at + 1 + j] = ((entries[i, ENTRY_CHUNK] + 2**31) >> (24 - 8 * j)) & 0xFF
    return out, out_offsets
