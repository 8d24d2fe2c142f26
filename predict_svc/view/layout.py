"""What stands in a store beside the states, and the rule by which partials are taken. Pure."""

# `progress`: per log partition what is contained. `layout`: which bases and speed states there are;
# it changes once an epoch.

from __future__ import annotations

import struct
from collections.abc import Mapping
from enum import Enum
from functools import lru_cache

import msgspec

from predict_svc.view.errors import EpochsFullError
from predict_svc.view.ports import SLOTS
from schemas.events import Cut, ViewPosition, ViewPublished
from schemas.partials import PartialHeader
from schemas.plausible import FIRST_US

PROGRESS = b"progress"
LAYOUT = b"layout"
READ = b"read"
FORM = b"form"
EMPTY_KEY = b"\xff"
"""Kept in a base for the empty view key, which a store does not take.

No view key holds this byte (keys are UTF-8), so it sorts last.
"""
MOST_CHUNKS = 4096  # a table with more is read without knowing which it has
FORMAT = 1
_ENTRY = struct.Struct("<4q")


class Progress(msgspec.Struct):
    """What of one log partition is contained: all up to `offset`; -1: nothing."""

    offset: int = -1
    raw_high: int = -1
    epoch: int = 0
    written_us: int = 0


class Base(msgspec.Struct, frozen=True, kw_only=True):
    """One landed batch view. `file` lies in the store's folder; "" is the empty base of epoch 0."""

    epoch: int
    file: str = ""
    cut: dict[int, Cut] = {}
    complete_since: dict[int, int] = {}
    as_of_us: int = FIRST_US

    def covers(self, partition: int) -> int:
        """The last offset of a log partition that the base contains."""
        cut = self.cut.get(partition)
        return -1 if cut is None else cut.offset


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """Landed bases, oldest first; epochs that have speed states;
    whether the store was ever complete up to the end of its input.

    `chunks`: per epoch the chunks (ends of storage keys) that any key has in its table,
    so that a read looks for no others; an epoch that is missing in it may have any.
    """

    bases: tuple[Base, ...] = (Base(epoch=0),)
    epochs: tuple[int, ...] = ()
    whole: bool = False
    chunks: dict[int, frozenset[bytes]] = {}

    @property
    def floor(self) -> int:
        """Speed states of epochs up to this one are not kept."""
        return self.bases[0].epoch

    @property
    def newest(self) -> Base:
        return self.bases[-1]

    def base(self, epoch: int | None) -> Base | None:
        """The base of this epoch, None when it is not here; the newest for None."""
        return (
            self.newest
            if epoch is None
            else next((b for b in self.bases if b.epoch == epoch), None)
        )


class Read(msgspec.Struct):
    """Where to read the partials on; `held`: per log partition the first partial that had to be
    left because of a gap.
    """

    offset: int = 0
    held: dict[int, int] = {}

    @property
    def start(self) -> int:
        """Where a restart begins."""
        return min([self.offset, *self.held.values()])


class Verdict(Enum):
    """What becomes of a partial."""

    APPLY = "apply"
    REPEAT = "repeat"
    GAP = "gap"


def judge(progress: Progress, header: PartialHeader) -> Verdict:
    """The rule of law 3."""
    if header.origin_offset <= progress.offset:
        return Verdict.REPEAT
    return Verdict.APPLY if header.previous <= progress.offset else Verdict.GAP


def bridged(layout: Layout, header: PartialHeader) -> Layout | None:
    """The layout without the bases that lack what is missing before this partial;
    None when all lack it.
    """
    able = tuple(
        base for base in layout.bases if base.covers(header.origin_partition) >= header.previous
    )
    return _standing(layout, able) if able else None


def with_base(layout: Layout, base: Base, *, alone: bool) -> Layout:
    """The layout once `base` landed: the two newest stay, or `base` alone;
    the epochs that none of them needs go.

    The one before goes as well when the epochs that it needs would leave no table for the one that
    follows `base`.
    """
    oldest = min(_above(layout.epochs, layout.newest.epoch), default=base.epoch + 1)
    bases = (base,) if alone or base.epoch + 1 - oldest >= SLOTS else (layout.newest, base)
    return _standing(layout, bases)


def with_epoch(layout: Layout, epoch: int) -> Layout:
    """The layout with speed states of `epoch`; raises EpochsFullError when its table is taken by
    another live epoch.
    """
    if any(e % SLOTS == epoch % SLOTS for e in layout.epochs):
        raise EpochsFullError(
            f"speed states of epochs {layout.epochs[0]} to {epoch} would stand on the base "
            f"of epoch {layout.floor}, {SLOTS} epochs are the most: "
            "no more is taken until a newer base has landed"
        )
    return msgspec.structs.replace(
        layout,
        epochs=tuple(sorted((*layout.epochs, epoch))),
        chunks={**layout.chunks, epoch: frozenset()},
    )


def with_chunks(layout: Layout, epoch: int, chunks: frozenset[bytes]) -> Layout:
    """The layout once rows of these chunks stand in the table of `epoch`."""
    known = layout.chunks.get(epoch)
    if known is None or chunks <= known:
        return layout
    others = {e: c for e, c in layout.chunks.items() if e != epoch}
    together = known | chunks
    return msgspec.structs.replace(
        layout, chunks=others if len(together) > MOST_CHUNKS else {**others, epoch: together}
    )


def _standing(layout: Layout, bases: tuple[Base, ...]) -> Layout:
    """The layout on these bases, without the epochs that none of them needs."""
    epochs = _above(layout.epochs, bases[0].epoch)
    return msgspec.structs.replace(
        layout,
        bases=bases,
        epochs=epochs,
        chunks={e: c for e, c in layout.chunks.items() if e in epochs},
    )


def _above(epochs: tuple[int, ...], floor: int) -> tuple[int, ...]:
    return tuple(epoch for epoch in epochs if epoch > floor)


def base_of(published: ViewPublished, file: str) -> Base:
    """A manifest as a landed base."""
    return Base(
        epoch=published.epoch,
        file=file,
        cut=published.cut,
        complete_since=published.complete_since,
        as_of_us=published.as_of_us,
    )


def pack_progress(progress: Mapping[int, Progress]) -> bytes:
    """One entry a log partition, in order; those never seen are -1."""
    entries = (progress.get(p, _NOTHING) for p in range(max(progress, default=-1) + 1))
    return b"".join(_ENTRY.pack(e.offset, e.raw_high, e.epoch, e.written_us) for e in entries)


def unpack_progress(data: bytes | None) -> dict[int, Progress]:
    return {p: Progress(*entry) for p, entry in enumerate(_ENTRY.iter_unpack(data or b""))}


@lru_cache(maxsize=64)
def unpack_layout(data: bytes | None) -> Layout:
    return _layout.decode(data) if data else Layout()


def pack_layout(layout: Layout) -> bytes:
    return msgspec.msgpack.encode(layout)


def unpack_read(data: bytes | None) -> Read:
    return _read.decode(data) if data else Read()


def pack_read(read: Read) -> bytes:
    return msgspec.msgpack.encode(read)


def position(base: Base, progress: Mapping[int, Progress]) -> ViewPosition:
    """What a read at `base` has seen: what the base contains or what was applied,
    whichever is more.
    """
    log = {p: cut.offset for p, cut in base.cut.items()}
    raw = {p: cut.raw_high for p, cut in base.cut.items()}
    for p, entry in progress.items():
        log[p] = max(entry.offset, log.get(p, -1))
        raw[p] = max(entry.raw_high, raw.get(p, -1))
    return ViewPosition(epoch=base.epoch, log=log, raw=raw)


def lacking(
    layout: Layout, progress: Mapping[int, Progress], log_ends: Mapping[int, int]
) -> dict[int, int]:
    """Per log partition the last offset contained, where that is before the log's last offset."""
    reached = position(layout.newest, progress).log
    return {p: reached.get(p, -1) for p, end in log_ends.items() if reached.get(p, -1) < end}


_NOTHING = Progress()
_layout = msgspec.msgpack.Decoder(Layout)
_read = msgspec.msgpack.Decoder(Read)
