"""The store of a view and partition in memory: for tests, and for simulations that crash between
any two steps.
"""

# What is committed is never changed in place, so a reader keeps the moment at which it began.

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Self

from predict_svc.view.errors import BaseRefusedError, StoreFullError, ViewNotReadyError
from predict_svc.view.ports import SLOTS

Entries = Mapping[bytes, bytes]
DOCUMENTS = -1
"""The handle of the documents; those of the tables are 0 to SLOTS - 1."""
LONGEST_KEY = 511


class StoreCrashedError(Exception):
    """What a simulation raises, and what a store of a process that crashed raises for ever."""


class DictDisk:
    """What outlives the processes: committed tables, and whole bases.

    `before(step)` is called before each of "put", "base batch", "base whole" and "commit":
    what it raises is a crash at that step. `capacity_bytes`: what all tables may take.
    """

    def __init__(
        self,
        scratch: Path,
        *,
        capacity_bytes: int = 1 << 60,
        before: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.scratch = scratch
        self.before = before
        self.capacity_bytes = capacity_bytes
        self.committed: dict[int, Entries] = {}
        self.bases: dict[str, Entries] = {}
        self.incarnation: object | None = None
        """Another one for each store that was built; None while there is none."""
        self.writer: object | None = None
        self.lock = threading.Lock()

    def crash(self) -> None:
        """The writing process is gone: what it has not committed is lost, and it writes no more."""
        self.writer = None

    def wipe(self) -> None:
        """The disk is lost, or the host lost power."""
        self.crash()
        self.committed = {}
        self.bases = {}
        self.incarnation = None

    def used_bytes(self) -> int:
        """What all tables take."""
        return _size(self.committed)


class DictMoment:
    """What was committed when it began; `default`: the table that is meant where none is named."""

    def __init__(self, tables: Mapping[int, Entries], default: int = DOCUMENTS) -> None:
        self._tables = tables
        self._default = default

    def get(
        self, key: bytes, default: bytes | None = None, table: int | None = None, /
    ) -> bytes | None:
        """See the port."""
        _check_key(key)
        return self.entries(table).get(key, default)

    def entries(self, table: int | None) -> Entries:
        """All that a table holds."""
        return self._tables.get(self._default if table is None else table, {})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        return


class DictChange(DictMoment):
    """What one write transaction sees, and has changed. Its tables are its own once it writes."""

    def __init__(self, disk: DictDisk) -> None:
        self.tables = dict(disk.committed)
        super().__init__(self.tables)
        self._before = disk.before
        self._own: dict[int, dict[bytes, bytes]] = {}

    def put(self, key: bytes, value: bytes, /) -> bool:
        """See the port."""
        self.put_into(DOCUMENTS, key, value)
        return True

    def put_into(self, table: int, key: bytes, value: bytes) -> None:
        """One entry of a table."""
        self._before("put")
        _check_key(key)
        if table not in self._own:
            self._own[table] = self.tables[table] = dict(self.tables.get(table, {}))
        self._own[table][key] = bytes(value)

    def empty(self, table: int) -> None:
        """Nothing is in it any more."""
        self._own[table] = self.tables[table] = {}


class DictStore:
    """The one writer of a disk: opening another one ends what this one may do."""

    def __init__(self, disk: DictDisk) -> None:
        self._disk = disk
        self.scratch = disk.scratch
        self.tables: Sequence[int] = range(SLOTS)
        self._me = disk.writer = object()
        disk.incarnation = disk.incarnation or object()
        for torn in disk.scratch.glob("base-*.part"):
            torn.unlink()

    def reading(self) -> AbstractContextManager[DictMoment]:
        return DictMoment(self._disk.committed)

    @contextmanager
    def writing(self) -> Iterator[DictChange]:
        """One transaction; see the port."""
        with self._disk.lock:
            self._check_alive()
            change = DictChange(self._disk)
            yield change
            self._disk.before("commit")
            self._check_alive()
            if _size(change.tables) > self._disk.capacity_bytes:
                raise StoreFullError(f"{self.scratch}: the dictionary takes no more")
            self._disk.committed = change.tables

    def get_many(
        self, change: DictChange, table: int, keys: list[bytes]
    ) -> list[tuple[bytes, bytes]]:
        entries = change.entries(table)
        return [(key, entries[key]) for key in keys if key in entries]

    def put_many(
        self, change: DictChange, table: int, entries: Iterable[tuple[bytes, bytes]]
    ) -> None:
        for key, blob in entries:
            change.put_into(table, key, blob)

    def empty(self, change: DictChange, table: int) -> None:
        change.empty(table)

    def load_base(self, name: str, batches: Iterable[list[tuple[bytes, bytes]]]) -> None:
        """Visible once it is whole; see the port."""
        self._check_alive()
        entries: list[tuple[bytes, bytes]] = []
        for batch in batches:
            self._disk.before("base batch")
            entries += batch
        if any(left >= right for (left, _), (right, _) in pairwise(entries)):
            raise BaseRefusedError(f"{name}: keys are not in order, or one comes twice")
        self._disk.before("base whole")
        self._disk.bases[name] = dict(entries)

    def has_base(self, name: str) -> bool:
        return name in self._disk.bases

    def keep_bases(self, names: set[str]) -> None:
        self._disk.bases = {n: base for n, base in self._disk.bases.items() if n in names}

    def free_bytes(self) -> int:
        return self._disk.capacity_bytes - self._disk.used_bytes()

    def forget_dead_readers(self) -> None:
        """A dictionary has none."""

    def close(self) -> None:
        if self._disk.writer is self._me:
            self._disk.writer = None

    def _check_alive(self) -> None:
        if self._disk.writer is not self._me:
            raise StoreCrashedError(f"{self.scratch}: this store was closed, or its process ended")


class DictBase:
    """A landed base."""

    def __init__(self, entries: Entries) -> None:
        self._entries = entries

    def begin(self, *, buffers: bool = False) -> DictMoment:  # noqa: ARG002  (bytes serve as well)
        """See the port."""
        return DictMoment({0: self._entries}, 0)


class DictReads:
    """Reads a disk beside its writer."""

    def __init__(self, disk: DictDisk) -> None:
        self._disk = disk
        self.where = str(disk.scratch)
        self.tables: Sequence[int] = ()
        self._bases: dict[str, DictBase] = {}
        self._incarnation: object | None = None

    def begin(self) -> DictMoment:
        """See the port."""
        incarnation = self._disk.incarnation
        committed = self._disk.committed
        if incarnation is None:
            raise ViewNotReadyError(f"{self.where}: there is no view here yet")
        if incarnation is not self._incarnation:
            self.tables = list(range(SLOTS))
            self._bases = {}
            self._incarnation = incarnation
        return DictMoment(committed)

    def base(self, name: str) -> DictBase:
        """See the port."""
        if name not in self._bases:
            if name not in self._disk.bases:
                raise ViewNotReadyError(f"{self.where}: there is no base {name}")
            self._bases[name] = DictBase(self._disk.bases[name])
        return self._bases[name]

    def scan(
        self, moment: DictMoment, table: int | None = None, start: bytes = b""
    ) -> Iterator[tuple[bytes, bytes]]:
        """In the order of keys' bytes."""
        entries = sorted(moment.entries(table).items())
        yield from entries[bisect_left(entries, (start, b"")) :]

    def close(self) -> None:
        self._incarnation = None
        self._bases = {}


def _size(tables: Mapping[int, Entries]) -> int:
    return sum(len(key) + len(blob) for table in tables.values() for key, blob in table.items())


def _check_key(key: bytes) -> None:
    if not 0 < len(key) <= LONGEST_KEY:
        raise ValueError(f"a key of {len(key)} bytes; 1 to {LONGEST_KEY} are taken")
