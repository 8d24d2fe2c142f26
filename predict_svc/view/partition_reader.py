"""Reads the store of one partition: what stands in it, and the blobs of keys."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import repeat
from pathlib import Path
from typing import Any, NamedTuple

import lmdb
import numpy as np
import numpy.typing as npt

from predict_svc.view import environments
from predict_svc.view import layout as lay
from predict_svc.view.errors import ViewNotReadyError
from predict_svc.view.layout import Base, Layout
from schemas.events import ViewPosition
from twinstream.algebra import chunks, kernel, windows
from twinstream.algebra.plan import ViewPlan
from twinstream.algebra.state import StateBatch

LOOK_AGAIN_S = 0.2
KEPT_OPEN = 4  # bases; older ones are gone from the disk, and what still read them has long ended
NEVER_US = -(1 << 63)


Int64s = npt.NDArray[np.int64]


class Seen(NamedTuple):
    """What a transaction sees: its base, the speed tables that belong on it, the position of both
    together.
    """

    base: Base
    base_env: Any
    tables: tuple[tuple[Any, frozenset[bytes] | None], ...]
    """With the chunks that stand in each, None: any."""
    position: ViewPosition
    kept_from_us: int
    """The first moment at which no window begins before what the base keeps whole."""


class PartitionReader:
    """One partition of a view. Notices when the store was deleted and built anew."""

    def __init__(self, folder: str | Path, plan: ViewPlan) -> None:
        self.folder = Path(folder)
        self._path = self.folder / environments.FILE
        self._plan = plan
        self._longest = tuple((layout.hop, layout.windows[-1]) for layout in plan.hops)
        self._lock = threading.RLock()
        self._env: lmdb.Environment | None = None
        self._inode, self._looked = 0, 0.0
        self._bases: dict[str, lmdb.Environment] = {}
        self._last: tuple[Any, Any, Any, Seen] | None = None

    def begin(self) -> Any:
        """A read transaction; raises ViewNotReadyError while there is no store."""
        now = time.monotonic()
        if self._env is None or now - self._looked > LOOK_AGAIN_S:
            self._look(now)
        try:
            return self._env.begin()  # type: ignore[union-attr]
        except lmdb.MapResizedError:  # the writer came back with a larger map
            self.close()
            self._look(now)
            return self._env.begin()  # type: ignore[union-attr]

    def layout(self, txn: Any) -> Layout:
        """The layout; raises ViewNotReadyError while the store is not whole."""
        layout = lay.unpack_layout(txn.get(lay.LAYOUT, db=self._meta))
        if not layout.whole:
            raise ViewNotReadyError(
                f"{self.folder}: the view is being built and is not whole yet; "
                "wait until its worker is ready"
            )
        return layout

    def seen(self, txn: Any, epoch: int | None) -> Seen:
        """What this transaction shows at a base; raises ViewNotReadyError when that base is not
        here.
        """
        raw_layout, raw_progress = (
            txn.get(lay.LAYOUT, db=self._meta),
            txn.get(lay.PROGRESS, db=self._meta),
        )
        last = self._last
        if last is not None and last[0] == raw_layout and last[1] == epoch:
            if last[2] == raw_progress:
                return last[3]
            old = last[3]
            seen = old._replace(position=lay.position(old.base, lay.unpack_progress(raw_progress)))
        else:
            seen = self._found(txn, epoch, raw_progress)
        self._last = (raw_layout, epoch, raw_progress, seen)
        return seen

    def blobs(self, txn: Any, seen: Seen, key: bytes, at_us: int) -> bytearray:
        """The words that a read of a key at a moment takes."""
        found = []
        if seen.base_env is not None:
            with seen.base_env.begin() as base:
                found.append(base.get(key or environments.EMPTY_KEY, b""))
        if seen.tables:
            ends = chunks.needed_suffixes(self._plan, at_us)
            for table, there in seen.tables:
                found += [
                    blob
                    for end in ends
                    if there is None or end in there
                    if (blob := txn.get(key + end, None, table)) is not None
                ]
        return bytearray().join(found)

    def many_blobs(
        self, txn: Any, seen: Seen, wanted: Sequence[bytes], at: Int64s
    ) -> tuple[kernel.Pieces, Int64s]:
        """The words of all keys, and which of them each question is about;
        a key may be wanted at several moments.
        """
        number = {key: i for i, key in enumerate(sorted(set(wanted)))}
        owners: list[Int64s] = []
        blobs: list[bytes | memoryview] = []
        with (
            ExitStack() as held
            # what a base gives is not copied before it is joined, and lies in the file for as long
            # as
            # its transaction
        ):
            if seen.base_env is not None:
                base = held.enter_context(seen.base_env.begin(buffers=True))
                blobs += map(
                    base.get, (key or environments.EMPTY_KEY for key in number), repeat(b"")
                )
                owners.append(np.arange(len(number)))
            for table, there in seen.tables:
                stored, owner = self._storage_keys(number, wanted, at, there)
                blobs += map(txn.get, stored, repeat(b""), repeat(table))
                owners.append(owner)
            words = np.frombuffer(bytearray().join(blobs), np.int64)
            sizes = np.fromiter(map(len, blobs), np.int64, len(blobs))
        offsets = np.concatenate([[0], np.cumsum(sizes // 8)])
        owner = np.concatenate(owners) if owners else np.zeros(0, np.int64)
        return kernel.Pieces(words, offsets, owner), np.array(
            [number[key] for key in wanted], np.int64
        )

    def all_blobs(self, txn: Any, seen: Seen, key: bytes) -> list[bytes]:
        """Every blob of one key."""
        found = []
        if seen.base_env is not None:
            with seen.base_env.begin() as base:
                found.append(base.get(key or environments.EMPTY_KEY, b""))
        for table, _ in seen.tables:
            cursor = txn.cursor(db=table)
            if cursor.set_range(key):
                for stored, blob in cursor:
                    if not stored.startswith(key):
                        break
                    if len(stored) == len(key) + chunks.SUFFIX:
                        found.append(blob)
        return [blob for blob in found if blob]

    def all_states(self, txn: Any, seen: Seen) -> Iterator[StateBatch]:
        """The base and each table, by view key."""
        if seen.base_env is not None:
            with seen.base_env.begin() as base:
                yield _of_base(base)
        for table, _ in seen.tables:
            yield kernel.merge(self._plan, [_batch(txn.cursor(db=table), chunks.SUFFIX)])

    def lacking(self, raw: Mapping[int, int], epoch: int | None) -> dict[int, int]:
        """Which of these raw offsets are not contained."""
        with self.begin() as txn:
            reached = self.seen(txn, epoch).position.raw
        return {p: offset for p, offset in raw.items() if reached.get(p, -1) < offset}

    def close(self) -> None:
        """Release the files."""
        with self._lock:
            for env in self._bases.values():
                env.close()
            if self._env is not None and not environments.is_shared(self._env):
                self._env.close()
            self._env, self._bases, self._last = None, {}, None

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

    def _found(self, txn: Any, epoch: int | None, raw_progress: bytes | None) -> Seen:
        layout = self.layout(txn)
        base = layout.base(epoch)
        if base is None:
            raise ViewNotReadyError(
                f"{self.folder}: the base of epoch {epoch} is not here, "
                f"those of {[b.epoch for b in layout.bases]} are"
            )
        tables = tuple(
            (self._tables[e % lay.SLOTS], layout.chunks.get(e))
            for e in layout.epochs
            if e > base.epoch
        )
        return Seen(
            base,
            self._base(base),
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

    def _base(self, base: Base) -> Any:
        """The environment of a base, opened once."""
        if not base.file:
            return None
        with self._lock:
            if base.file not in self._bases:
                for gone in list(self._bases)[:-KEPT_OPEN]:
                    self._bases.pop(gone).close()
                try:
                    self._bases[base.file] = environments.open_base(self.folder / base.file)
                except lmdb.Error as error:
                    raise ViewNotReadyError(
                        f"{self.folder / base.file} cannot be opened: {error}"
                    ) from error
            return self._bases[base.file]

    def _look(self, now: float) -> None:
        """Open the store, or another one that took its place."""
        with self._lock:
            self._looked = now
            try:
                inode = self._path.stat().st_ino
            except OSError as error:
                self.close()
                raise ViewNotReadyError(
                    f"{self.folder}: there is no view on this host yet; is its worker running?"
                ) from error
            if self._env is None or inode != self._inode:
                self.close()
                self._open(inode)

    def _open(self, inode: int) -> None:
        try:
            env = environments.open_for_reading(self.folder)
            self._meta = env.open_db(b"meta", create=False)
            self._tables = [
                env.open_db(environments.table(slot), create=False) for slot in range(lay.SLOTS)
            ]
        except lmdb.Error as error:
            raise ViewNotReadyError(
                f"{self.folder}: the store cannot be opened yet: {error}"
            ) from error
        self._env, self._inode = env, inode


def _of_base(txn: Any) -> StateBatch:
    """All entries of a base, the empty key first."""
    entries = list(txn.cursor())
    if entries and entries[-1][0] == environments.EMPTY_KEY:
        entries.insert(0, (b"", entries.pop()[1]))
    return StateBatch.of([key for key, _ in entries], [blob for _, blob in entries])


def _batch(cursor: Any, suffix: int) -> StateBatch:
    """All entries of a table, by their keys without the last `suffix` bytes;
    equal ones are left to a merge.
    """
    keys, blobs = [], []
    for key, blob in cursor:
        keys.append(key[: len(key) - suffix])
        blobs.append(blob)
    return StateBatch.of(keys, blobs)
