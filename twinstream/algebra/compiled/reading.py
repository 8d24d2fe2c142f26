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

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from twinstream.algebra.answer import answer
from twinstream.algebra.compiled.intrinsics import lent, lent_tables, trailing_zeros
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
    BY_MOMENT,
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
WORD = 64  # bits


class Room(NamedTuple):
    """What reads share: a merged row; per sparse array a count or rank for each id, all 0, and a
    bit for each id in use, so that what is used is found in their order.

        dense   [arrays, IDS]         | 0 | 3 | 0 | ... | 1 | ...
        marks   [arrays, IDS / 64]    | ...0010 | ...0001 | ...
    """

    row: Words
    dense: Words
    marks: Words


class AskedKey(NamedTuple):
    """A moment, and where the answers go."""

    at_us: int
    out: Floats


class Blobs(NamedTuple):
    """Piece j is `words[offsets[j]:offsets[j + 1]]`; those of key k are
    `pieces[begins[k]:begins[k + 1]]`. `rows`: room for the starts of a key's rows, three times.
    """

    words: Words
    offsets: Words
    pieces: Words
    begins: Words
    rows: Words


@compiled
def most_sparse(t: Tables) -> int:
    """The most sparse arrays that a row of the plan has."""
    most = 0
    for hop in range(4):
        most = max(most, t.hops[hop, SPARSE_END] - t.hops[hop, SPARSE])
    return most


@compiled
def scratch(t: Tables) -> Room:
    """Room for the reads of a plan."""
    sparse = most_sparse(t)
    widest = 0
    for hop in range(4):
        widest = max(widest, t.hops[hop, FIXED_WORDS])
    return Room(
        np.empty(HEADER + widest + sparse * (IDS + 1), np.int64),
        np.zeros((sparse, IDS), np.int64),
        np.zeros((sparse, IDS // WORD), np.int64),
    )


@compiled
def lent_room(room: Room) -> Room:
    """Room, lent."""
    return Room(lent(room.row), lent(room.dense), lent(room.marks))


@compiled
def lent_blobs(blobs: Blobs) -> Blobs:
    """Blobs, lent."""
    return Blobs(
        lent(blobs.words),
        lent(blobs.offsets),
        lent(blobs.pieces),
        lent(blobs.begins),
        lent(blobs.rows),
    )


@compiled
def spread_entry(op: int, entry: int, room: Room, number: int) -> None:
    """Let one sparse entry into its dense array."""
    at, value = entry >> COUNT_BITS, entry & COUNT_MASK
    room.marks[number, at // WORD] |= 1 << (at % WORD)
    dense = room.dense
    if op != ADDMAP:
        dense[number, at] = max(dense[number, at], value)
    else:
        dense[number, at] = min(dense[number, at] + value, FULL_ENTRY)


@compiled
def spread_rows(t: Tables, hop: int, words: Words, row: int, room: Room) -> int:
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
            spread_entry(op, words[i], room, number)
        at = stop
    return FINE


@compiled
def gather_entries(t: Tables, hop: int, room: Room) -> None:
    """Write the dense arrays as the sparse arrays of the merged row."""
    at = HEADER + t.hops[hop, FIXED_WORDS]
    for number in range(t.hops[hop, SPARSE_END] - t.hops[hop, SPARSE]):
        stop = at + 1
        for word in range(IDS // WORD):
            bits = room.marks[number, word]
            while bits != 0:
                bit = trailing_zeros(bits)
                i = word * WORD + bit
                room.row[stop] = i << COUNT_BITS | room.dense[number, i]
                stop += 1
                bits ^= 1 << bit
        room.row[at] = stop - at - 1
        at = stop


@compiled
def wipe(room: Room) -> None:
    """Make the dense arrays 0 again."""
    for number in range(len(room.marks)):
        for word in range(IDS // WORD):
            bits = room.marks[number, word]
            while bits != 0:
                bit = trailing_zeros(bits)
                room.dense[number, word * WORD + bit] = 0
                bits ^= 1 << bit
            room.marks[number, word] = 0


@compiled
def rows_between(words: Words, rows: Words, first: int, last: int, found: Words) -> int:
    """Note the rows whose rowkey is in `first..last`; how many."""
    n = 0
    for r in rows:
        if first <= words[r] <= last:
            found[n] = r
            n += 1
    return n


@compiled
def read_hop(t: Tables, hop: int, blobs: Blobs, found: int, room: Room, q: AskedKey) -> int:
    """Answer all windows of one hop from the rows of it among the `found`; what went wrong, or
    FINE.
    """
    first, last, key = t.hops[hop, FIXED], t.hops[hop, FIXED_END], hop << HOP_SHIFT
    words, rows, mine = blobs.words, blobs.rows, blobs.rows[found : 2 * found]
    n = 0
    for i in range(found):
        if hop_of(words[rows[i]]) == hop:
            mine[n] = rows[i]
            n += 1
    clear(t.fixed, first, last, room.row, 0)
    fault, newest = FINE, tile_of(hop, q.at_us)
    for window in range(t.hops[hop, WINDOWS], t.hops[hop, WINDOWS_END]):
        oldest = tile_of(hop, q.at_us - t.windows[window, LENGTH_US])
        taken = rows[2 * found :]
        new = taken[: rows_between(words, mine[:n], key + oldest, key + newest, taken)]
        combine(t.fixed, first, last, room.row, 0, words, new)
        if t.hops[hop, SPARSE_END] > t.hops[hop, SPARSE]:
            for r in new:
                fault = max(fault, spread_rows(t, hop, words, r, room))
        newest = min(newest, oldest - 1)
        gather_entries(t, hop, room)
        answer(t, hop, window, q.at_us, room.row, 0, q.out)
    wipe(room)
    return fault


@compiled
def read_key(t: Tables, blobs: Blobs, key: int, room: Room, q: AskedKey) -> int:
    """Answer everything from the blobs of a key; what went wrong, or FINE."""
    found = 0
    for piece in blobs.pieces[blobs.begins[key] : blobs.begins[key + 1]]:
        start, stop = blobs.offsets[piece], blobs.offsets[piece + 1]
        found = find_rows(t.hops, blobs.words, start, stop, blobs.rows, found)
        if found < 0:
            return MALFORMED
    fault = FINE
    for hop in range(4):
        if used(t, hop):
            fault = max(fault, read_hop(t, hop, blobs, found, room, q))
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
def most_words(offsets: Words, pieces: Words, begins: Words) -> int:
    """The most words that the blobs of a key have."""
    most = 0
    for k in range(len(begins) - 1):
        size = 0
        for piece in pieces[begins[k] : begins[k + 1]]:
            size += offsets[piece + 1] - offsets[piece]
        most = max(most, size)
    return most


@compiled
def same_tiles(t: Tables, at_us: int, other_us: int) -> bool:
    """Whether a key answers the same at both moments: each window takes the same tiles, and no
    answer of it depends on the moment itself.
    """
    for hop in range(4):
        if used(t, hop) and tile_of(hop, at_us) != tile_of(hop, other_us):
            return False
        for window in range(t.hops[hop, WINDOWS], t.hops[hop, WINDOWS_END]):
            length = t.windows[window, LENGTH_US]
            if tile_of(hop, at_us - length) != tile_of(hop, other_us - length):
                return False
            if t.windows[window, BY_MOMENT] and at_us != other_us:
                return False
    return True


@compiled
def read_all(
    tables: Tables, owned: Blobs, rooms: Room, asked: Words, at_us: Words, out: Floats
) -> int:
    """`read_each`, once all is in its place. Rows of a request are often about the same key."""
    t, blobs, room = lent_tables(tables), lent_blobs(owned), lent_room(rooms)
    answers = lent(out)
    last = np.full(len(blobs.begins) - 1, -1, np.int64)  # question about each key
    fault = FINE
    for i in range(len(at_us)):
        before = last[asked[i]]
        if before >= 0 and same_tiles(t, at_us[i], at_us[before]):
            answers[i] = answers[before]
        else:
            question = AskedKey(at_us[i], answers[i])
            fault = max(fault, read_key(t, blobs, asked[i], room, question))
        last[asked[i]] = i
    return fault


@compiled
def read_each(
    t: Tables, words: Words, offsets: Words, owner: Words, asked: Words, at_us: Words, out: Floats
) -> int:
    """Answer each question i about key `asked[i]` at `at_us[i]` into out[i]; what went wrong, or
    FINE.

    Piece j, `words[offsets[j]:offsets[j + 1]]`, holds blobs of key `owner[j]`.
    """
    pieces, begins = grouped(owner, asked)
    most = most_words(offsets, pieces, begins)
    rows = np.empty(3 * (most // HEADER + 1), np.int64)
    blobs = Blobs(words, offsets, pieces, begins, rows)
    return read_all(t, blobs, scratch(t), asked, at_us, out)


@compiled
def read_lent(tables: Tables, owned: Blobs, rooms: Room, at_us: int, out: Floats) -> int:
    """`read_alone`, once all is in its place."""
    question = AskedKey(at_us, lent(out))
    return read_key(lent_tables(tables), lent_blobs(owned), 0, lent_room(rooms), question)


@compiled
def read_alone(t: Tables, words: Words, at_us: int, out: Floats) -> int:
    """Answer a question about a key from its blobs, which lie side by side; what went wrong, or
    FINE.
    """
    bounds = np.array([0, len(words)])
    rows = np.empty(3 * (len(words) // HEADER + 1), np.int64)
    blobs = Blobs(words, bounds, np.zeros(1, np.int64), np.arange(2), rows)
    return read_lent(t, blobs, scratch(t), at_us, out)
