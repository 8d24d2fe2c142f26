"""Reads the store of one partition: what stands in it, and the blobs of keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from predict_svc.view import layout as lay
from predict_svc.view.errors import ViewNotReadyError
from predict_svc.view.layout import EMPTY_KEY, Base, Layout
from predict_svc.view.ports import SLOTS, LandedBase, Moment, StateReads
from schemas.events import ViewPosition
from twinstream.algebra import chunks, kernel, windows
from twinstream.algebra.plan import ViewPlan
from twinstream.algebra.state import StateBatch

NEVER_US = -(1 << 63)


Int64s = npt.NDArray[np.int64]


class Seen(NamedTuple):
    """What a transaction sees: its base, the speed tables that belong on it, the position of both
    together.
    """

    base: Base
    landed: LandedBase | None
    tables: tuple[tuple[Any, frozenset[bytes] | None], ...]
    """With the chunks that stand in each, None: any."""
    position: ViewPosition
    kept_from_us: int
    """The first moment at which no window begins before what the base keeps whole."""


class PartitionReader:
    """One partition of a view."""

    def __init__(self, states: StateReads, plan: ViewPlan) -> None:
        self._states = states
        self._plan = plan
        self._longest = tuple((layout.hop, layout.windows[-1]) for layout in plan.hops)
        self._last: tuple[Any, Any, Any, Any, Seen] | None = None
        self.begin, self.close = states.begin, states.close  # as they are: a call more costs a read

    @property
    def where(self) -> str:
        """Names it in messages."""
        return self._states.where

    def layout(self, moment: Moment) -> Layout:
        """The layout; raises ViewNotReadyError while the store is not whole."""
        layout = lay.unpack_layout(moment.get(lay.LAYOUT))
        if not layout.whole:
            raise ViewNotReadyError(
                f"{self.where}: the view is being built and is not whole yet; "
                "wait until its worker is ready"
            )
        return layout

    def seen(self, moment: Moment, epoch: int | None) -> Seen:
        """What this transaction shows at a base; raises ViewNotReadyError when that base is not
        here.
        """
        tables = self._states.tables  # of the store that `moment` is of: others once it is another
        raw_layout = moment.get(lay.LAYOUT)
        raw_progress = moment.get(lay.PROGRESS)
        last = self._last
        if last is not None and last[0] == raw_layout and last[1] == epoch and last[2] is tables:
            if last[3] == raw_progress:
                return last[4]
            old = last[4]
            seen = old._replace(position=lay.position(old.base, lay.unpack_progress(raw_progress)))
        else:
            seen = self._found(moment, epoch, raw_progress)
        self._last = (raw_layout, epoch, tables, raw_progress, seen)
        return seen

    def blobs(self, moment: Moment, seen: Seen, key: bytes, at_us: int) -> bytearray:
        """The words that a read of a key at a moment takes."""
        found = []
        if seen.landed is not None:
            with seen.landed.begin() as base:
                found.append(base.get(key or EMPTY_KEY, b""))
        if seen.tables:
            ends = chunks.needed_suffixes(self._plan, at_us)
            for table, there in seen.tables:
                found += [
                    blob
                    for end in ends
                    if there is None or end in there
                    if (blob := moment.get(key + end, None, table)) is not None
                ]
        return bytearray().join(found)

    def many_blobs(
        self, moment: Moment, seen: Seen, wanted: Sequence[bytes], at: Int64s
    ) -> tuple[kernel.Pieces, Int64s]:
        """The words of all keys, and which of them each question is about;
        a key may be wanted at several moments.
        """
        number = {key: i for i, key in enumerate(sorted(set(wanted)))}
        owners: list[Int64s] = []
        blobs: list[bytes | memoryview] = []
        # what a base gives is not copied before it is joined: it is good until its moment ends
        with ExitStack() as held:
            if seen.landed is not None:
                base = held.enter_context(seen.landed.begin(buffers=True))
                blobs += map(base.get, (key or EMPTY_KEY for key in number), repeat(b""))
                owners.append(np.arange(len(number)))
            for table, there in seen.tables:
                stored, owner = self._storage_keys(number, wanted, at, there)
                blobs += map(moment.get, stored, repeat(b""), repeat(table))
                owners.append(owner)
            words = np.frombuffer(bytearray().join(blobs), np.int64)
            sizes = np.fromiter(map(len, blobs), np.int64, len(blobs))
        offsets = np.concatenate([[0], np.cumsum(sizes // 8)])
        owner = np.concatenate(owners) if owners else np.zeros(0, np.int64)
        return kernel.Pieces(words, offsets, owner), np.array(
            [number[key] for key in wanted], np.int64
        )

    def all_blobs(self, moment: Moment, seen: Seen, key: bytes) -> list[bytes]:
        """Every blob of one key."""
        found = []
        if seen.landed is not None:
            with seen.landed.begin() as base:
                found.append(base.get(key or EMPTY_KEY, b""))
        for table, _ in seen.tables:
            for stored, blob in self._states.scan(moment, table, key):
                if not stored.startswith(key):
                    break
                if len(stored) == len(key) + chunks.SUFFIX:
                    found.append(blob)
        return [blob for blob in found if blob]

    def all_states(self, moment: Moment, seen: Seen) -> Iterator[StateBatch]:
        """The base and each table, by view key."""
        if seen.landed is not None:
            with seen.landed.begin() as base:
                yield _of_base(list(self._states.scan(base)))
        for table, _ in seen.tables:
            entries = self._states.scan(moment, table)
            yield kernel.merge(self._plan, [_of_table(entries, chunks.SUFFIX)])

    def lacking(self, raw: Mapping[int, int], epoch: int | None) -> dict[int, int]:
        """Which of these raw offsets are not contained."""
        with self.begin() as moment:
            reached = self.seen(moment, epoch).position.raw
        return {p: offset for p, offset in raw.items() if reached.get(p, -1) < offset}

    def _storage_keys(
        self,
        number: Mapping[bytes, int],
        wanted: Sequence[bytes],
        at: Int64s,
        there: frozenset[bytes] | None,
    ) -> tuple[list[bytes], Int64s]:
        """Under which keys the rows stand, and whose they are; mostly all moments lie in one tile
        and need the same chunks.
        """
        if int(at.min()) // windows.HOP_US[0] == int(at.max()) // windows.HOP_US[0]:
            ends = self._ends(int(at[0]), there)
            return [key + end for key in number for end in ends], np.repeat(
                np.arange(len(number)), len(ends)
            )
        found = sorted(
            {
                key + end
                for key, moment in zip(wanted, at.tolist(), strict=True)
                for end in self._ends(moment, there)
            }
        )
        return found, np.fromiter((number[chunks.view_key(k)] for k in found), np.int64, len(found))

    def _ends(self, at_us: int, there: frozenset[bytes] | None) -> list[bytes]:
        return [
            end
            for end in chunks.needed_suffixes(self._plan, at_us)
            if there is None or end in there
        ]

    def _found(self, moment: Moment, epoch: int | None, raw_progress: bytes | None) -> Seen:
        layout = self.layout(moment)
        base = layout.base(epoch)
        if base is None:
            raise ViewNotReadyError(
                f"{self.where}: the base of epoch {epoch} is not here, "
                f"those of {[b.epoch for b in layout.bases]} are"
            )
        tables = tuple(
            (self._states.tables[e % SLOTS], layout.chunks.get(e))
            for e in layout.epochs
            if e > base.epoch
        )
        return Seen(
            base,
            self._states.base(base.file) if base.file else None,
            tables,
            lay.position(base, lay.unpack_progress(raw_progress)),
            self._kept_from_us(base),
        )

    def _kept_from_us(self, base: Base) -> int:
        return max(
            (
                base.complete_since[hop] * windows.HOP_US[hop] + windows.length_us(window)
                for hop, window in self._longest
                if hop in base.complete_since and hop != windows.ALL
            ),
            default=NEVER_US,
        )


def _of_base(entries: list[tuple[bytes, bytes]]) -> StateBatch:
    """All entries of a base, the empty key first."""
    if entries and entries[-1][0] == EMPTY_KEY:
        entries.insert(0, (b"", entries.pop()[1]))
    return StateBatch.of([key for key, _ in entries], [blob for _, blob in entries])


def _of_table(entries: Iterator[tuple[bytes, bytes]], suffix: int) -> StateBatch:
    """All entries of a table, by their keys without the last `suffix` bytes;
    equal ones are left to a merge.
    """
    keys = []
    blobs = []
    for key, blob in entries:
        keys.append(key[: len(key) - suffix])
        blobs.append(blob)
    return StateBatch.of(keys, blobs)
