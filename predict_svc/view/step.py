"""One transaction of a store: which partials are taken, and what that changes. Pure rules over the
documents that the store keeps beside its states.
"""

from __future__ import annotations

from collections import defaultdict

import msgspec

from predict_svc.view import layout as lay
from predict_svc.view.layout import Base, Progress, Read, Verdict
from predict_svc.view.ports import Change
from schemas.partials import HEADER_BYTES, PartialHeader, header_of
from twinstream.algebra.state import StateBatch


class Gap(msgspec.Struct, frozen=True):
    """A partial left because the one before it is missing: its log partition, what is contained,
    what it stands behind.
    """

    origin_partition: int
    expected_after: int
    found_previous: int


class Applied(msgspec.Struct):
    """What one `apply` did; `foreign`: messages that are no partials;
    `written_us` of each applied pack that had rows, for the freshness.
    """

    applied: int = 0
    repeats: int = 0
    foreign: int = 0
    rows: int = 0
    gaps: list[Gap] = []
    written_us: list[int] = []


class ApplyStep:
    """One transaction's view of progress and layout, and what it changes of them."""

    def __init__(self, change: Change) -> None:
        self._change = change
        self.before = self.layout = lay.unpack_layout(change.get(lay.LAYOUT))
        self.progress = lay.unpack_progress(change.get(lay.PROGRESS))
        self.read = lay.unpack_read(change.get(lay.READ))
        self.states: dict[int, list[StateBatch]] = defaultdict(list)
        self.done = Applied()

    def take(self, offset: int, value: bytes) -> None:
        """Judge one partial and note what it brings."""
        header = header_of(value)
        if header is None:
            self.read.offset = offset + 1
            self.done.foreign += 1
            return
        mine = self.progress.setdefault(header.origin_partition, Progress())
        verdict = lay.judge(mine, header)
        if verdict is Verdict.GAP:
            verdict = self._bridge(mine, header)
        self.read.offset = offset + 1
        if verdict is Verdict.REPEAT:
            self.done.repeats += 1
        elif verdict is Verdict.GAP:
            self.read.held.setdefault(header.origin_partition, offset)
            self.done.gaps.append(Gap(header.origin_partition, mine.offset, header.previous))
        else:
            self._apply(mine, header, value)

    def land(self, base: Base) -> int | None:
        """Stand on a newer base; return where partials have to be read again from, None for
        nowhere.
        """
        untouched = not self.layout.epochs and all(p.offset < 0 for p in self.progress.values())
        self.layout = lay.with_base(self.layout, base, alone=untouched)
        if untouched:
            for partition, cut in base.cut.items():
                self.progress[partition] = Progress(cut.offset, cut.raw_high, base.epoch + 1, 0)
        again = self.read.start if self.read.held else None
        if again is not None:
            self.read = Read(again, {})
        return again

    def write(self) -> None:
        """Put what changed into the transaction."""
        self._change.put(lay.PROGRESS, lay.pack_progress(self.progress))
        self._change.put(lay.READ, lay.pack_read(self.read))
        if self.layout != self.before:
            self._change.put(lay.LAYOUT, lay.pack_layout(self.layout))

    def _bridge(self, mine: Progress, header: PartialHeader) -> Verdict:
        """What is missing may stand in a landed base: then older bases, which lack it,
        are given up.
        """
        layout = lay.bridged(self.layout, header)
        if layout is None:
            return Verdict.GAP
        cut = layout.bases[0].cut[header.origin_partition]
        self.layout = layout
        self.states = defaultdict(
            list, {e: batches for e, batches in self.states.items() if e > layout.floor}
        )
        mine.offset = cut.offset
        mine.raw_high = cut.raw_high
        mine.epoch = layout.floor + 1
        return lay.judge(mine, header)

    def _apply(self, mine: Progress, header: PartialHeader, value: bytes) -> None:
        mine.offset = header.origin_offset
        mine.raw_high = header.raw_high
        mine.written_us = header.log_written_us
        mine.epoch = header.epoch + 1 if header.barrier else header.epoch
        self.read.held.pop(header.origin_partition, None)
        self.done.applied += 1
        if header.keys:
            self.done.rows += header.rows
            self.done.written_us.append(header.log_written_us)
            if header.epoch > self.layout.floor:
                self.states[header.epoch].append(StateBatch.from_bytes(value, HEADER_BYTES))
