"""The store of one view and partition: speed states and progress, written together or not at all
(law 3).
"""

# A hot loop: measured by `benchmarks/` as the merge of partials into the view.

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import numpy as np

from predict_svc.view import layout as lay
from predict_svc.view.errors import BaseGoneError, StoreFormError, StoreFullError
from predict_svc.view.layout import Base, Layout, Progress, Read
from predict_svc.view.ports import SLOTS, BaseLoading, Change, StateStore
from predict_svc.view.step import Applied, ApplyStep
from twinstream.algebra import chunks, kernel
from twinstream.algebra.plan import ViewPlan
from twinstream.algebra.state import StateBatch


class Store:
    """The rules of a store, over whatever keeps its states; one writer at a time, any number of
    readers. `spare_bytes`: what the disk must have left beside what a write may need.
    """

    def __init__(self, states: StateStore, plan: ViewPlan, spare_bytes: int) -> None:
        self._states = states
        self._plan = plan
        self._spare_bytes = spare_bytes
        self._check_form()
        self._remove_unused_bases()

    @property
    def bases(self) -> BaseLoading:
        """Where its bases are brought."""
        return self._states

    def close(self) -> None:
        self._states.close()

    def progress(self) -> dict[int, Progress]:
        """Per log partition what is contained."""
        with self._states.reading() as moment:
            return lay.unpack_progress(moment.get(lay.PROGRESS))

    def layout(self) -> Layout:
        """Landed bases and live epochs."""
        with self._states.reading() as moment:
            return lay.unpack_layout(moment.get(lay.LAYOUT))

    def read_state(self) -> Read:
        """Where to read partials on, and what is held back."""
        with self._states.reading() as moment:
            return lay.unpack_read(moment.get(lay.READ))

    def apply(self, partials: Iterable[tuple[int, bytes]]) -> Applied:
        """Take partials (offset in their topic, value) in order, in one transaction;
        with StoreFullError or EpochsFullError none is taken.
        """
        partials = list(partials)
        self._check_space(sum(len(value) for _, value in partials))
        with self._states.writing() as change:
            step = ApplyStep(change)
            for offset, value in partials:
                step.take(offset, value)
            self._empty_unused(change, step)
            for epoch, batches in step.states.items():
                self._merge(change, step, epoch, batches)
            step.write()
        return step.done

    def land(self, base: Base) -> int | None:
        """Take a base whose file lies in the folder; return where partials have to be read again
        from, None for nowhere.

        Raises BaseGoneError when the file is not there.
        """
        with self._states.writing() as change:
            step = ApplyStep(change)
            if base.epoch <= step.layout.newest.epoch:
                return None
            if not self._states.has_base(base.file):
                raise BaseGoneError(f"{self._states.scratch / base.file} is gone")
            again = step.land(base)
            step.write()
            self._empty_unused(change, step)
        self._remove_unused_bases()
        return again

    def forget_dead_readers(self) -> None:
        """Done every second; see the port."""
        self._states.forget_dead_readers()

    def set_whole(self) -> None:
        """From now on the store may be read: it once was complete up to the end of its input."""
        with self._states.writing() as change:
            layout = lay.unpack_layout(change.get(lay.LAYOUT))
            change.put(lay.LAYOUT, lay.pack_layout(msgspec.structs.replace(layout, whole=True)))

    def _merge(
        self, change: Change, step: ApplyStep, epoch: int, batches: list[StateBatch]
    ) -> None:
        """Merge new states into the table of their epoch."""
        new = kernel.merge(self._plan, batches) if len(batches) > 1 else batches[0]
        if epoch not in step.layout.epochs:
            step.layout = lay.with_epoch(step.layout, epoch)
        step.layout = lay.with_chunks(step.layout, epoch, chunks.suffixes_of(new))
        table = self._states.tables[epoch % SLOTS]
        keys = new.keys
        found = self._states.get_many(change, table, keys)
        if found:
            new = kernel.merge(
                self._plan, [_stored(new, found), new]
            )  # what is stored has no other keys
        self._states.put_many(change, table, zip(keys, new.blobs(), strict=True))

    def _empty_unused(self, change: Change, step: ApplyStep) -> None:
        """Empty the tables of epochs that no base needs any more; the tables stay,
        so that readers' handles do.
        """
        for epoch in set(step.before.epochs) - set(step.layout.epochs):
            self._states.empty(change, self._states.tables[epoch % SLOTS])

    def _check_space(self, incoming: int) -> None:
        """A memory-mapped write to a full disk kills the process, so look first."""
        free = self._states.free_bytes()
        if free < self._spare_bytes + 4 * incoming:
            raise StoreFullError(
                f"view {self._plan.view.name}, {self._states.scratch}: "
                f"{free >> 20} MiB are left on the disk, too little to go on; "
                "free some space, or move the data folder, and the view goes on where it stands"
            )

    def _check_form(self) -> None:
        form = f"{lay.FORMAT} {self._plan.digest}".encode()
        with self._states.writing() as change:
            found = change.get(lay.FORM)
            if found is None:
                change.put(lay.FORM, form)
        if found is not None and found != form:
            raise StoreFormError(
                f"{self._states.scratch} holds view {self._plan.view.name} under another "
                "definition; give the changed view another name, "
                "or start with an empty data folder and new topics"
            )

    def _remove_unused_bases(self) -> None:
        """Delete bases that the layout does not name; a reader that has one open keeps it.

        Within a write transaction: while a partition is handed over, another worker may be landing
        one.
        """
        with self._states.writing() as change:
            layout = lay.unpack_layout(change.get(lay.LAYOUT))
            self._states.keep_bases({base.file for base in layout.bases})


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
