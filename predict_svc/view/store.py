"""The store of one view and partition: speed states and progress, written together or not at all
(law 3).
"""

# A hot loop: measured by `benchmarks/` as the merge of partials into the view.

from __future__ import annotations

import os
import shutil
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from predict_svc.view import environments
from predict_svc.view import layout as lay
from predict_svc.view.errors import BaseGoneError, StoreFormError, StoreFullError
from predict_svc.view.layout import Base, Layout, Progress, Read, Verdict
from predict_svc.view.settings import ViewSettings
from schemas.partials import HEADER_BYTES, PartialHeader, header_of
from twinstream.algebra import chunks, kernel
from twinstream.algebra.plan import ViewPlan
from twinstream.algebra.state import StateBatch

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


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


class Store:
    """Owner of one folder `DATA/view/<view>/<partition>`; one writer at a time, any number of
    readers.
    """

    def __init__(self, folder: Path, plan: ViewPlan, knobs: ViewSettings | None = None) -> None:
        self.folder, self._plan, self._knobs = folder, plan, knobs or ViewSettings()
        _fresh_after_power_cut(folder)
        self._env = environments.open_store(folder, map_gib=self._knobs.map_gib)
        self.forget_dead_readers()
        self._meta = self._env.open_db(b"meta")
        self._tables = [self._env.open_db(environments.table(slot)) for slot in range(lay.SLOTS)]
        self._check_form()
        for torn in folder.glob("base-*.part"):
            torn.unlink()
        self._remove_unused_bases()

    def close(self) -> None:
        environments.close_store(self.folder)

    def progress(self) -> dict[int, Progress]:
        """Per log partition what is contained."""
        with self._env.begin(db=self._meta) as txn:
            return lay.unpack_progress(txn.get(lay.PROGRESS))

    def layout(self) -> Layout:
        """Landed bases and live epochs."""
        with self._env.begin(db=self._meta) as txn:
            return lay.unpack_layout(txn.get(lay.LAYOUT))

    def read_state(self) -> Read:
        """Where to read partials on, and what is held back."""
        with self._env.begin(db=self._meta) as txn:
            return lay.unpack_read(txn.get(lay.READ))

    def apply(self, partials: Iterable[tuple[int, bytes]]) -> Applied:
        """Take partials (offset in their topic, value) in order, in one transaction;
        with StoreFullError or EpochsFullError none is taken.
        """
        partials = list(partials)
        self._check_space(sum(len(value) for _, value in partials))
        with self._env.begin(write=True, db=self._meta) as txn:
            step = _Step(txn)
            for offset, value in partials:
                step.take(offset, value)
            self._empty_unused(txn, step)
            for epoch, batches in step.states.items():
                self._merge(txn, step, epoch, batches)
            step.write()
        return step.done

    def land(self, base: Base) -> int | None:
        """Take a base whose file lies in the folder; return where partials have to be read again
        from, None for nowhere.

        Raises BaseGoneError when the file is not there.
        """
        with self._env.begin(write=True, db=self._meta) as txn:
            step = _Step(txn)
            if base.epoch <= step.layout.newest.epoch:
                return None
            if not (self.folder / base.file).is_file():
                raise BaseGoneError(f"{self.folder / base.file} is gone")
            untouched = not step.layout.epochs and all(p.offset < 0 for p in step.progress.values())
            step.layout = lay.with_base(step.layout, base, alone=untouched)
            if untouched:
                for partition, cut in base.cut.items():
                    step.progress[partition] = Progress(cut.offset, cut.raw_high, base.epoch + 1, 0)
            again = step.read.start if step.read.held else None
            if again is not None:
                step.read = Read(again, {})
            step.write()
            self._empty_unused(txn, step)
        self._remove_unused_bases()
        return again

    def forget_dead_readers(self) -> None:
        """A reader that was killed within a read would keep every page written since:
        the file would grow without end.
        """
        self._env.reader_check()

    def set_whole(self) -> None:
        """From now on the store may be read: it once was complete up to the end of its input."""
        with self._env.begin(write=True, db=self._meta) as txn:
            layout = lay.unpack_layout(txn.get(lay.LAYOUT))
            txn.put(lay.LAYOUT, lay.pack_layout(msgspec.structs.replace(layout, whole=True)))

    def _merge(self, txn: Any, step: _Step, epoch: int, batches: list[StateBatch]) -> None:
        """Merge new states into the table of their epoch."""
        new = kernel.merge(self._plan, batches) if len(batches) > 1 else batches[0]
        if epoch not in step.layout.epochs:
            step.layout = lay.with_epoch(step.layout, epoch)
        step.layout = lay.with_chunks(step.layout, epoch, chunks.suffixes_of(new))
        cursor = txn.cursor(db=self._tables[epoch % lay.SLOTS])
        keys = new.keys
        found = cursor.getmulti(keys)
        if found:
            new = kernel.merge(
                self._plan, [_stored(new, found), new]
            )  # what is stored has no other keys
        cursor.putmulti(zip(keys, new.blobs(), strict=True))

    def _empty_unused(self, txn: Any, step: _Step) -> None:
        """Empty the tables of epochs that no base needs any more; the tables stay,
        so that readers' handles do.
        """
        for epoch in set(step.before.epochs) - set(step.layout.epochs):
            txn.drop(self._tables[epoch % lay.SLOTS], delete=False)

    def _check_space(self, incoming: int) -> None:
        """A memory-mapped write to a full disk kills the process, so look first."""
        disk = os.statvfs(self.folder)
        free = disk.f_bavail * disk.f_frsize
        if free < self._knobs.spare_bytes + 4 * incoming:
            raise StoreFullError(
                f"view {self._plan.view.name}, {self.folder}: "
                f"{free >> 20} MiB are left on the disk, too little to go on; "
                "free some space, or move the data folder, and the view goes on where it stands"
            )

    def _check_form(self) -> None:
        form = f"{lay.FORMAT} {self._plan.digest}".encode()
        with self._env.begin(write=True, db=self._meta) as txn:
            found = txn.get(lay.FORM)
            if found is None:
                txn.put(lay.FORM, form)
        if found is not None and found != form:
            raise StoreFormError(
                f"{self.folder} holds view {self._plan.view.name} under another "
                "definition; give the changed view another name, "
                "or start with an empty data folder and new topics"
            )

    def _remove_unused_bases(self) -> None:
        """Delete base files that the layout does not name; a reader that has one open keeps it.

        Within a write transaction: while a partition is handed over, another worker may be landing
        one.
        """
        with self._env.begin(write=True, db=self._meta) as txn:
            kept = {base.file for base in lay.unpack_layout(txn.get(lay.LAYOUT)).bases}
            for path in self.folder.glob("base-*"):
                if path.name not in kept and not path.name.endswith(".part"):
                    path.unlink(missing_ok=True)


class _Step:
    """One transaction's view of progress and layout, and what it changes of them."""

    def __init__(self, txn: Any) -> None:
        self._txn = txn
        self.before = self.layout = lay.unpack_layout(txn.get(lay.LAYOUT))
        self.progress = lay.unpack_progress(txn.get(lay.PROGRESS))
        self.read = lay.unpack_read(txn.get(lay.READ))
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

    def write(self) -> None:
        """Put what changed into the transaction."""
        self._txn.put(lay.PROGRESS, lay.pack_progress(self.progress))
        self._txn.put(lay.READ, lay.pack_read(self.read))
        if self.layout != self.before:
            self._txn.put(lay.LAYOUT, lay.pack_layout(self.layout))

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
        mine.offset, mine.raw_high, mine.epoch = cut.offset, cut.raw_high, layout.floor + 1
        return lay.judge(mine, header)

    def _apply(self, mine: Progress, header: PartialHeader, value: bytes) -> None:
        mine.offset, mine.raw_high, mine.written_us = (
            header.origin_offset,
            header.raw_high,
            header.log_written_us,
        )
        mine.epoch = header.epoch + 1 if header.barrier else header.epoch
        self.read.held.pop(header.origin_partition, None)
        self.done.applied += 1
        if header.keys:
            self.done.rows += header.rows
            self.done.written_us.append(header.log_written_us)
            if header.epoch > self.layout.floor:
                self.states[header.epoch].append(StateBatch.from_bytes(value, HEADER_BYTES))


def _stored(new: StateBatch, found: list[tuple[bytes, bytes]]) -> StateBatch:
    """What the table holds of the keys of `new`."""
    blobs = [blob for _, blob in found]
    if len(found) < len(new):
        return StateBatch.of([key for key, _ in found], blobs)
    bounds = np.zeros(len(blobs) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, blobs), np.int64, len(blobs)) // 8, out=bounds[1:])
    return StateBatch(
        new.key_data, new.key_offsets, bounds, np.frombuffer(bytearray().join(blobs), np.int64)
    )


def _fresh_after_power_cut(folder: Path) -> None:
    """Remove a store that was written before the host last started:
    its pages may be torn, and Kafka and S3 have all of it.
    """
    mark, now = folder / "boot-id", BOOT_ID.read_text() if BOOT_ID.exists() else ""
    if folder.exists() and (not mark.exists() or mark.read_text() != now):
        shutil.rmtree(folder)
    if not folder.exists():
        folder.mkdir(parents=True)
        mark.write_text(now)
