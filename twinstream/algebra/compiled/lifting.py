"""Records, ordered by key and tile, into rows."""

# ruff: noqa: PLR0917, FBT001 (compiled loops take their arrays by position)
from __future__ import annotations

import numpy as np
import numpy.typing as npt

from twinstream.algebra.compiled.jit import compiled
from twinstream.algebra.compiled.rows import clear, compact, lift
from twinstream.algebra.layout import ADDMAP, COUNT_BITS, HEADER, HOP_SHIFT
from twinstream.algebra.tables import Tables
from twinstream.algebra.windows import CHUNK_TILES, HOP_US

Words = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@compiled
def tile_of(hop: int, at: int) -> int:
    """The tile that holds a moment."""
    return at // HOP_US[hop] if hop < 3 else 0


@compiled
def used(t: Tables, hop: int) -> bool:
    """Whether the plan has a window of this hop."""
    return t.hops[hop, 6] > t.hops[hop, 5]


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
        sparse = t.hops[hop, 3] - t.hops[hop, 2]
        words += (rows - before) * (HEADER + t.hops[hop, 4] + sparse) + tiles.shape[1] * sparse
    return rows, words


@compiled
def fill(
    t: Tables,
    hop: int,
    start: int,
    stop: int,
    time: Words,
    position: Words,
    values: Words,
    valid: Flags,
    words: Words,
    row: int,
) -> None:
    """Write the fixed slots of a row from the records `start..stop`."""
    first, last = t.hops[hop, 0], t.hops[hop, 1]
    clear(t.fixed, first, last, words, row)
    for s in range(first, last):
        op, column, at, size = t.fixed[s, 0], t.fixed[s, 1], row + t.fixed[s, 2], t.fixed[s, 3]
        for i in range(start, stop):
            if valid[column, i]:
                lift(op, words, at, size, time[i], position[i], values[column, i])


@compiled
def fill_sparse(
    t: Tables, hop: int, start: int, stop: int, values: Words, valid: Flags, words: Words, at: int
) -> int:
    """Write the sparse arrays of a row from `at` on; where they end."""
    for s in range(t.hops[hop, 2], t.hops[hop, 3]):
        op, column = t.sparse[s, 0], t.sparse[s, 1]
        end = at + 1
        for i in range(start, stop):
            if valid[column, i]:
                words[end] = (
                    values[column, i] << COUNT_BITS | 1 if op == ADDMAP else values[column, i]
                )
                end += 1
        end = compact(op, words, at + 1, end)
        words[at] = end - at - 1
        at = end
    return at


@compiled
def lift_rows(
    t: Tables,
    since: Words,
    key: Words,
    time: Words,
    position: Words,
    values: Words,
    valid: Flags,
    chunked: bool,
) -> tuple[Words, Words]:
    """Words; [n, 4]: key, hop, chunk and first word of each entry.

    An entry is all rows of a key, or when `chunked` those of a key, hop and chunk; tiles before `since` of their hop make no row.
    """
    tiles, ends = tiles_of(t, time), key_ends(key)
    rows, capacity = measure(t, tiles, ends)
    words, entries = np.empty(capacity, np.int64), np.empty((rows, 4), np.int64)
    n, at, begin = 0, 0, 0
    for end in ends:
        opened = n
        for hop in range(4):
            start = begin if used(t, hop) else end
            while start < end:
                stop, tile = run_end(tiles, hop, start, end), tiles[hop, start]
                if tile < since[hop]:
                    start = stop
                    continue
                chunk = tile // CHUNK_TILES[hop]
                if n == opened or (
                    chunked and (entries[n - 1, 1] != hop or entries[n - 1, 2] != chunk)
                ):
                    entries[n, 0], entries[n, 1], entries[n, 2], entries[n, 3] = (
                        key[begin],
                        hop,
                        chunk,
                        at,
                    )
                    n += 1
                row = at
                fill(t, hop, start, stop, time, position, values, valid, words, row)
                at = fill_sparse(
                    t, hop, start, stop, values, valid, words, row + HEADER + t.hops[hop, 4]
                )
                words[row], words[row + 1] = (hop << HOP_SHIFT) + tile, at - row
                start = stop
        begin = end
    return words[:at], entries[:n]


@compiled
def entry_keys(
    data: npt.NDArray[np.uint8], offsets: Words, entries: Words, chunked: bool
) -> tuple[npt.NDArray[np.uint8], Words]:
    """The key of each entry; when `chunked` with its suffix: hop, and chunk as big-endian int32 with its sign bit flipped."""
    n, suffix = len(entries), 5 if chunked else 0
    out_offsets = np.zeros(n + 1, np.int64)
    for i in range(n):
        k = entries[i, 0]
        out_offsets[i + 1] = out_offsets[i] + offsets[k + 1] - offsets[k] + suffix
    out = np.empty(out_offsets[n], np.uint8)
    for i in range(n):
        start, at = offsets[entries[i, 0]], out_offsets[i]
        for j in range(out_offsets[i + 1] - suffix - at):
            out[at + j] = data[start + j]
        if chunked:
            at = out_offsets[i + 1] - 5
            out[at] = entries[i, 1]
            for j in range(4):
                out[at + 1 + j] = ((entries[i, 2] + 2**31) >> (24 - 8 * j)) & 0xFF
    return out, out_offsets
