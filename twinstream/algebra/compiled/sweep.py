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

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from twinstream.algebra.answer import answer
from twinstream.algebra.compiled.intrinsics import lent, lent_tables
from twinstream.algebra.compiled.jit import compiled
from twinstream.algebra.compiled.lifting import tile_of, used
from twinstream.algebra.compiled.reading import (
    Room,
    gather_entries,
    lent_room,
    scratch,
    spread_entry,
    wipe,
)
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


class EventColumns(NamedTuple):
    """Events, by key and then by knowledge: key, event time, place in the order of ties, and when
    each became known [n]; what each gives each column, and whether it does [columns, n].
    """

    key: Words
    time: Words
    position: Words
    known: Words
    values: Words
    valid: Flags


class AskedColumns(NamedTuple):
    """Questions about all keys [n]: about which, at which moment, from what was known by then;
    `out` [n, outputs] takes the answers. `order`: their numbers by key and then by knowledge.
    """

    order: Words
    key: Words
    at_us: Words
    known_by: Words
    out: Floats


class SweptColumns(NamedTuple):
    """What is swept."""

    events: EventColumns
    questions: AskedColumns


class KeyRun(NamedTuple):
    """One key: its events are those from `start` on, before `stop`; the numbers of its questions,
    in the order of knowledge.
    """

    start: int
    stop: int
    questions: Words


class KeyTiles(NamedTuple):
    """All tiles of one key and hop that its events will ever fill.

    tiles   ascending           | 17 | 18 | 21 |        tile    the number of each event's tile
    starts  of their rows       | 0 | 9 | 18 |          rows    the rows, side by side
    begins  of their entries    | 0 | 4 | 6 | 9 |       names, kept   the entries and their values
    where   [slots, events]     the entry of each event, -1 for none
    """

    tiles: Words
    tile: Words
    starts: Words
    rows: Words
    names: Words
    begins: Words
    kept: Words
    where: Words


@compiled
def tiles_of(hop: int, time: Words) -> tuple[Words, Words]:
    """(the tiles of these events, ascending, each once; the number of each event's tile)."""
    tiles, number = np.empty(len(time), np.int64), np.empty(len(time), np.int64)
    n = 0
    for i in range(len(time)):
        tile = tile_of(hop, time[i])
        if n > 0 and tile < tiles[n - 1]:
            return any_tiles_of(hop, time)
        if n == 0 or tile > tiles[n - 1]:
            tiles[n] = tile
            n += 1
        number[i] = n - 1
    return tiles[:n], number


@compiled
def any_tiles_of(hop: int, time: Words) -> tuple[Words, Words]:
    """`tiles_of`, of events in any order of time."""
    each = np.empty(len(time), np.int64)
    for i in range(len(time)):
        each[i] = tile_of(hop, time[i])
    tiles = np.unique(each)
    return tiles, np.searchsorted(tiles, each)


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
    t: Tables, hop: int, events: EventColumns, start: int, tile: Words
) -> tuple[Words, Words]:
    """All sparse entries that the events from `start` on, whose tiles these are, will ever make:
    (their names, ascending; [slots, events] the entry of each, -1 for none).

    A name is (tile number * sparse slots + slot) << 13 | id, so that a tile's entries lie
    together.
    """
    first, count = t.hops[hop, SPARSE], t.hops[hop, SPARSE_END] - t.hops[hop, SPARSE]
    named = np.full((count, len(tile)), -1, np.int64)
    for s in range(count):
        op, column = t.sparse[first + s, OP], t.sparse[first + s, COLUMN]
        for i in range(len(tile)):
            if events.valid[column, start + i]:
                id_ = entry_id(op, events.values[column, start + i])
                named[s, i] = (tile[i] * count + s) << ID_BITS | id_
    names = np.unique(named)
    if len(names) > 0 and names[0] < 0:
        names = names[1:]
    where = np.empty((count, len(tile)), np.int64)
    for s in range(count):
        where[s] = np.searchsorted(names, named[s])
        for i in range(len(tile)):
            if named[s, i] < 0:
                where[s, i] = -1
    return names, where


@compiled
def lent_tiles(owned: KeyTiles) -> KeyTiles:
    """A key's tiles, lent."""
    return KeyTiles(
        lent(owned.tiles),
        lent(owned.tile),
        lent(owned.starts),
        lent(owned.rows),
        lent(owned.names),
        lent(owned.begins),
        lent(owned.kept),
        lent(owned.where),
    )


@compiled
def lent_columns(owned: SweptColumns) -> SweptColumns:
    """All events and questions, lent."""
    e, q = owned.events, owned.questions
    events = EventColumns(
        lent(e.key),
        lent(e.time),
        lent(e.position),
        lent(e.known),
        lent(e.values),
        lent(e.valid),
    )
    questions = AskedColumns(
        lent(q.order), lent(q.key), lent(q.at_us), lent(q.known_by), lent(q.out)
    )
    return SweptColumns(events, questions)


@compiled
def learn(
    t: Tables, hop: int, events: EventColumns, event: int, its: KeyTiles, number: int
) -> None:
    """Let an event, the key's number-th, into its tile's row and sparse entries."""
    row = its.starts[its.tile[number]]
    time, position = events.time[event], events.position[event]
    for s in range(t.hops[hop, FIXED], t.hops[hop, FIXED_END]):
        column = t.fixed[s, COLUMN]
        if events.valid[column, event]:
            at, size, value = (
                row + t.fixed[s, OFFSET],
                t.fixed[s, SIZE],
                events.values[column, event],
            )
            lift(t.fixed[s, OP], its.rows, at, size, time, position, value)
    for s in range(len(its.where)):
        at = its.where[s, number]
        if at >= 0:
            slot = t.hops[hop, SPARSE] + s
            if t.sparse[slot, OP] == ADDMAP:
                its.kept[at] = min(its.kept[at] + 1, FULL_ENTRY)
            else:
                rank = events.values[t.sparse[slot, COLUMN], event] & COUNT_MASK
                its.kept[at] = max(its.kept[at], rank)


@compiled
def spread_tiles(t: Tables, hop: int, its: KeyTiles, begin: int, end: int, room: Room) -> None:
    """Let the sparse entries of the tiles `begin..end` into the dense arrays."""
    first, count = t.hops[hop, SPARSE], t.hops[hop, SPARSE_END] - t.hops[hop, SPARSE]
    mask = (1 << ID_BITS) - 1
    for i in range(begin, end):
        for e in range(its.begins[i], its.begins[i + 1]):
            if its.kept[e] > 0:
                s = (its.names[e] >> ID_BITS) - i * count
                entry = (its.names[e] & mask) << COUNT_BITS | its.kept[e]
                spread_entry(t.sparse[first + s, OP], entry, room, s)


@compiled
def ask(t: Tables, hop: int, its: KeyTiles, room: Room, at_us: int, out: Floats) -> None:
    """Answer the windows of a hop from the tiles as they are."""
    first, last = t.hops[hop, FIXED], t.hops[hop, FIXED_END]
    clear(t.fixed, first, last, room.row, 0)
    end = int(np.searchsorted(its.tiles, tile_of(hop, at_us), "right"))
    for window in range(t.hops[hop, WINDOWS], t.hops[hop, WINDOWS_END]):
        begin = int(np.searchsorted(its.tiles, tile_of(hop, at_us - t.windows[window, LENGTH_US])))
        if begin < end:
            combine(t.fixed, first, last, room.row, 0, its.rows, its.starts[begin:end])
            spread_tiles(t, hop, its, begin, end, room)
            end = begin
        gather_entries(t, hop, room)
        answer(t, hop, window, at_us, room.row, 0, out)
    wipe(room)


@compiled
def key_tiles(t: Tables, hop: int, events: EventColumns, start: int, stop: int) -> KeyTiles:
    """The tiles of one key's events, all empty."""
    tiles, tile = tiles_of(hop, events.time[start:stop])
    rows = fresh_rows(t, hop, len(tiles))
    names, where = entries_of(t, hop, events, start, tile)
    count = t.hops[hop, SPARSE_END] - t.hops[hop, SPARSE]
    begins = np.searchsorted(names, np.arange(len(tiles) + 1) * count << ID_BITS)
    starts = np.arange(len(tiles)) * (HEADER + t.hops[hop, FIXED_WORDS])
    return KeyTiles(tiles, tile, starts, rows, names, begins, np.zeros(len(names), np.int64), where)


@compiled
def sweep_key(
    t: Tables, hop: int, swept: SweptColumns, run: KeyRun, owned: KeyTiles, room: Room
) -> None:
    """One key, one hop."""
    its, (events, questions) = lent_tiles(owned), swept
    event = run.start
    for question in run.questions:
        while event < run.stop and events.known[event] <= questions.known_by[question]:
            learn(t, hop, events, event, its, event - run.start)
            event += 1
        ask(t, hop, its, room, questions.at_us[question], questions.out[question])


@compiled
def sweep_all(tables: Tables, owned: SweptColumns, rooms: Room) -> None:
    """`sweep`, once there is room."""
    t, room, swept = lent_tables(tables), lent_room(rooms), lent_columns(owned)
    keys, questions = swept.events.key, swept.questions
    for hop in range(4):
        stop, q = 0, 0
        while q < len(questions.order) and used(t, hop):
            key, end = questions.key[questions.order[q]], q
            while end < len(questions.order) and questions.key[questions.order[end]] == key:
                end += 1
            start = stop + np.searchsorted(keys[stop:], key)
            stop = start + np.searchsorted(keys[start:], key, "right")
            its = key_tiles(t, hop, swept.events, start, stop)
            run = KeyRun(start, stop, questions.order[q:end])
            sweep_key(t, hop, swept, run, its, room)
            q = end


@compiled
def sweep(t: Tables, events: EventColumns, questions: AskedColumns) -> None:
    """Answer every question."""
    sweep_all(t, SweptColumns(events, questions), scratch(t))
