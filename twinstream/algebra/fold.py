"""The oracle: what a view means, in plain Python over plain integers, one record at a time. Slow on purpose.

It shares with the kernel only the layout of the words (`plan.layout`) and `answer`; everything else is written a second time.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any

import numpy as np

from twinstream.algebra import buckets, layout, registers, windows
from twinstream.algebra.keys import encode
from twinstream.algebra.layout import (
    ADD64,
    ADD128,
    ADDMAP,
    FIRST,
    FULL,
    FULL_ENTRY,
    HIGHEST,
    LAST,
    LASTK,
    LOWEST,
    MAX,
    MAXMAP,
    MIN,
    SQUARE192,
    TALLY,
)
from twinstream.algebra.plan import HopLayout, ViewPlan
from twinstream.algebra.slots import Column, Slot, Take

Moment = tuple[int, int, int]  # time, position, value
Tiles = dict[
    int, list[list[Moment]]
]  # rowkey -> per slot of its hop, every moment that the slot took


def fold(view: Any, records: Iterable[tuple[Mapping[str, Any], int]]) -> dict[bytes, bytes]:
    """The blob of each view key, from (record of stored values, position) in any order."""
    plan = ViewPlan(view)
    return {key: blob(plan, tiles) for key, tiles in sorted(collect(plan, records).items())}


def answers(
    view: Any, records: Iterable[tuple[Mapping[str, Any], int]], key: bytes, at_us: int
) -> list[float]:
    """The answers of one key at a moment: each window folds what its tiles took."""
    plan = ViewPlan(view)
    tiles = collect(plan, records).get(key, {})
    out = np.full(plan.n_out, np.nan)
    from twinstream.algebra.answer import answer

    for number, window in enumerate(plan.windows):
        hop, first, last = windows.tiles(window, at_us)
        rows = [
            tiles[k] for k in tiles if layout.rowkey(hop, first) <= k <= layout.rowkey(hop, last)
        ]
        taken: list[list[Moment]] = [
            list(chain(*of_slot)) for of_slot in zip(*rows, strict=True)
        ] or [[] for _ in slots(plan.layout(hop))]
        words = np.array(row(plan.layout(hop), 0, taken), np.int64)
        answer(plan.tables, hop, number, at_us, words, 0, out)
    return [float(value) for value in out]


def collect(plan: ViewPlan, records: Iterable[tuple[Mapping[str, Any], int]]) -> dict[bytes, Tiles]:
    """Per view key and tile, the moments that each slot takes."""
    found: dict[bytes, Tiles] = {}
    view = plan.view
    for record, position in records:
        key = encode([record[name] for name in view.by])
        if key is None or (view.where is not None and not view.where.holds(record)):
            continue
        time = record[view.source.event_time]
        for hop in plan.hops:
            tile = layout.rowkey(hop.hop, windows.tile_of(hop.hop, time))
            mine = found.setdefault(key, {}).setdefault(tile, [[] for _ in slots(hop)])
            for moments, slot in zip(mine, slots(hop), strict=True):
                value = take(slot.column, record)
                if value is not None:
                    moments.append((time, position, value))
    return found


def slots(hop: HopLayout) -> list[Slot]:
    """All slots of a row, in the order of its words."""
    return [*(slot for slot, _ in hop.fixed), *hop.sparse]


def take(column: Column, record: Mapping[str, Any]) -> int | None:
    """What a column takes from a record; None when there is no value or the condition does not
    hold.
    """
    if column.where is not None and not column.where.holds(record):
        return None
    value = (
        1
        if column.of is None
        else record[column.of]
        if isinstance(column.of, str)
        else column.of.scalar(record)
    )
    if value is None or column.take is Take.ONE:
        return None if value is None else 1
    if column.take is Take.CATEGORY:
        return column.categories.index(value) if value in column.categories else None
    if column.take is Take.REGISTER:
        return registers.register(value)
    return buckets.bucket(int(value)) if column.take is Take.BUCKET else int(value)


def blob(plan: ViewPlan, tiles: Tiles) -> bytes:
    """The canonical bytes of a key's tiles."""
    words = [
        word
        for k in sorted(tiles)
        for word in row(plan.layout(layout.hop_and_tile(k)[0]), k, tiles[k])
    ]
    return struct.pack(f"<{len(words)}q", *words)


def row(hop: HopLayout, rowkey: int, taken: list[list[Moment]]) -> list[int]:
    """The words of one row."""
    body = [
        word
        for slot, moments in zip(slots(hop), taken, strict=True)
        for word in state(slot, moments)
    ]
    return [rowkey, 2 + len(body), *body]


def state(slot: Slot, moments: list[Moment]) -> list[int]:
    """The words of one slot that took these moments."""
    values, op = [value for _, _, value in moments], slot.op
    if op == ADD64:
        return [min(sum(values), FULL)]
    if op == ADD128:
        return list(struct.unpack("<2q", sum(values).to_bytes(16, "little", signed=True)))
    if op == SQUARE192:
        return list(
            struct.unpack("<3q", sum(v * v for v in values).to_bytes(24, "little", signed=True))
        )
    if op == TALLY:
        return [min(values.count(i), FULL) for i in range(slot.words)]
    if op in (MIN, MAX):
        return [min(values, default=HIGHEST) if op == MIN else max(values, default=LOWEST)]
    if op == FIRST:
        return list(min(moments, default=(HIGHEST, HIGHEST, 0)))
    if op in (LAST, LASTK):
        k = slot.words // 3
        newest = sorted(moments, reverse=True)[:k]
        return [
            word for moment in newest + [(LOWEST, LOWEST, 0)] * (k - len(newest)) for word in moment
        ]
    if op == ADDMAP:
        return entries({b: min(n, FULL_ENTRY) for b, n in Counter(values).items()})
    assert op == MAXMAP
    return entries(
        {v >> 48: max(w & layout.COUNT_MASK for w in values if w >> 48 == v >> 48) for v in values}
    )


def entries(found: Mapping[int, int]) -> list[int]:
    """The count and the entries of a sparse array."""
    return [len(found), *(key << layout.COUNT_BITS | value for key, value in sorted(found.items()))]
