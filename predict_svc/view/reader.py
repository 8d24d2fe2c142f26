"""Reads a serving view, in any process of its host: base and speed states of one
transaction, with the position they stand for.
"""

# A hot loop: measured by `benchmarks/` as the view read.

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NoReturn

import msgspec
import numpy as np
import numpy.typing as npt

from predict_svc.view.errors import ViewBehindError, ViewNotReadyError, WindowNotKept
from predict_svc.view.partition_reader import PartitionReader, Seen
from predict_svc.view.ports import StateReads
from schemas.events import ViewPosition
from twinstream.algebra import kernel, keys
from twinstream.algebra.plan import ViewPlan
from twinstream.algebra.state import StateBatch
from twinstream.define import View

Floats = npt.NDArray[np.float64]
POLL_S = 0.001
FEW = 32
"""So many keys are sorted by partition one by one."""


class Snapshot(msgspec.Struct, frozen=True):
    """All states of one partition in one transaction; tiles before `complete_since[hop]` are not
    whole in it.
    """

    position: ViewPosition
    complete_since: dict[int, int]
    states: StateBatch


class ViewReader:
    """Reads one view, whose partitions are `stores`. Safe for threads. `epoch`: the base to read
    at, among those landed; None: the newest.
    """

    def __init__(self, view: View, stores: Sequence[StateReads]) -> None:
        self.plan = ViewPlan(view)
        self._parts = [PartitionReader(states, self.plan) for states in stores]
        self._partition = lru_cache(maxsize=100_000)(
            lambda key: keys.partition_of(key, len(stores))
        )

    def read(self, key: bytes, at_us: int, epoch: int | None = None) -> tuple[Floats, ViewPosition]:
        """The answers float64[n_out] (NaN: null) of one key at a moment, and what they have seen.

        Raises ViewNotReadyError, WindowNotKept.
        """
        part = self._parts[self._partition(key)]
        with part.begin() as txn:
            seen = part.seen(txn, epoch)
            if at_us < seen.kept_from_us:
                self._refuse(seen, at_us)
            data = part.blobs(txn, seen, key, at_us)
        return kernel.read(self.plan, np.frombuffer(data, np.int64), at_us), seen.position

    def read_many(
        self,
        wanted: Sequence[bytes],
        at_us: Sequence[int] | npt.NDArray[np.int64],
        epoch: int | None = None,
    ) -> tuple[Floats, list[ViewPosition]]:
        """Answers [n, n_out] of key i at moment i, and the position of each;
        keys of one partition are read in one transaction.
        """
        at = np.ascontiguousarray(at_us, np.int64)
        out = np.empty((len(wanted), self.plan.n_out), np.float64)
        positions: list[ViewPosition] = [_NOWHERE] * len(wanted)
        for part, rows in self._by_part(wanted):
            answers, seen = self._read_part(part, [wanted[i] for i in rows], at[rows], epoch)
            out[rows] = answers
            for i in rows:
                positions[i] = seen.position
        return out, positions

    def _by_part(self, wanted: Sequence[bytes]) -> Iterator[tuple[PartitionReader, list[int]]]:
        """Which of the keys each partition holds; many are hashed all at once, for a hash of each
        in Python would cost as much as its read.
        """
        if len(self._parts) == 1:
            if wanted:
                yield self._parts[0], list(range(len(wanted)))
            return
        if len(wanted) <= FEW:
            rows_of: dict[int, list[int]] = {}
            for row, key in enumerate(wanted):
                rows_of.setdefault(self._partition(key), []).append(row)
            for partition in sorted(rows_of):
                yield self._parts[partition], rows_of[partition]
            return
        ends = np.cumsum([0, *map(len, wanted)])
        target = keys.partitions_of(
            np.frombuffer(bytearray().join(wanted), np.uint8), ends, len(self._parts)
        )
        for partition, part in enumerate(self._parts):
            rows = np.flatnonzero(target == partition).tolist()
            if rows:
                yield part, rows

    def bases(self) -> set[int]:
        """Epochs whose base is landed in all partitions; empty while a partition cannot be read."""
        landed: list[set[int]] = []
        for part in self._parts:
            try:
                with part.begin() as txn:
                    landed.append({base.epoch for base in part.layout(txn).bases})
            except ViewNotReadyError:
                return set()
        return set.intersection(*landed)

    def state(self, key: bytes, epoch: int | None = None) -> bytes:
        """The canonical blob of a key, all tiles that are kept; b"" for a key never seen."""
        part = self._parts[self._partition(key)]
        with part.begin() as txn:
            return kernel.merge_blobs(self.plan, part.all_blobs(txn, part.seen(txn, epoch), key))

    @property
    def partitions(self) -> int:
        """How many the view is spread over."""
        return len(self._parts)

    def snapshot(self, partition: int, epoch: int | None = None) -> Snapshot:
        """All states of one partition, merged and canonical; for comparisons:
        it takes memory for all of them.
        """
        part = self._parts[partition]
        with part.begin() as txn:
            seen = part.seen(txn, epoch)
            states = kernel.merge(self.plan, list(part.all_states(txn, seen)))
        return Snapshot(seen.position, seen.base.complete_since, states)

    def iterate_keys(self, epoch: int | None = None) -> Iterator[bytes]:
        """Every view key that has a state, partition by partition, each once."""
        for partition in range(len(self._parts)):
            yield from self.snapshot(partition, epoch).states.keys

    def positions(self, epoch: int | None = None) -> dict[int, ViewPosition]:
        """The position of each partition of the view."""
        found = {}
        for partition, part in enumerate(self._parts):
            with part.begin() as txn:
                found[partition] = part.seen(txn, epoch).position
        return found

    def wait_for(
        self,
        raw: Mapping[int, int],
        timeout_s: float,
        key: bytes | None = None,
        epoch: int | None = None,
    ) -> None:
        """Wait until all raw offsets are contained, in the key's partition or in all;
        raises ViewBehindError after `timeout_s`.
        """
        parts = self._parts if key is None else [self._parts[self._partition(key)]]
        give_up = time.monotonic() + timeout_s
        for part in parts:
            while True:
                lacking = part.lacking(raw, epoch)
                if not lacking:
                    break
                if time.monotonic() >= give_up:
                    raise ViewBehindError(
                        f"view {self.plan.view.name}, {part.where}: "
                        f"raw offsets {lacking} were asked for and are not reached within "
                        f"{timeout_s} s"
                    )
                time.sleep(POLL_S)

    def close(self) -> None:
        """Release what this reader holds open."""
        for part in self._parts:
            part.close()

    def _read_part(
        self,
        part: PartitionReader,
        wanted: list[bytes],
        at: npt.NDArray[np.int64],
        epoch: int | None,
    ) -> tuple[Floats, Seen]:
        with part.begin() as txn:
            seen = part.seen(txn, epoch)
            if int(at.min()) < seen.kept_from_us:
                self._refuse(seen, int(at.min()))
            pieces, asked = part.many_blobs(txn, seen, wanted, at)
        return kernel.read_pieces(self.plan, pieces, asked, at), seen

    def _refuse(self, seen: Seen, at_us: int) -> NoReturn:
        raise WindowNotKept(
            f"view {self.plan.view.name}: at {at_us} us a window begins before what the "
            f"base of epoch {seen.base.epoch} keeps; "
            f"ask for {seen.kept_from_us} us or later"
        )


_NOWHERE = ViewPosition(epoch=-1, log={}, raw={})
