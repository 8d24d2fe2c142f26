"""The store of a view and partition in LMDB, for its writer: one file, and one for each base."""

# `sync=False, writemap=True` survives a killed process; after a power cut the store is built anew.

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import lmdb

from predict_svc.view.adapters import lmdb_files
from predict_svc.view.errors import BaseRefusedError, StoreFullError

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
FULL = (lmdb.MapFullError, lmdb.DiskError)


class LmdbStore:
    """Owner of one folder; one writer at a time, any number of readers.

    `map_gib`: address space, the most that its states can take.
    """

    def __init__(self, folder: Path, *, map_gib: int) -> None:
        self.scratch = folder
        _fresh_after_power_cut(folder)
        opened = lmdb_files.open_to_write(folder, map_gib=map_gib)
        self._env = opened.environment
        self._documents = opened.documents
        self.tables: Sequence[Any] = opened.tables
        self.forget_dead_readers()
        for torn in folder.glob("base-*.part"):
            torn.unlink(missing_ok=True)

    def reading(self) -> AbstractContextManager[Any]:
        return self._env.begin(db=self._documents)

    @contextmanager
    def writing(self) -> Iterator[Any]:
        """One transaction; see the port."""
        try:
            with self._env.begin(write=True, db=self._documents) as change:
                yield change
        except FULL as error:
            raise StoreFullError(f"{self.scratch}: LMDB takes no more: {error}") from error

    def get_many(self, change: Any, table: Any, keys: list[bytes]) -> list[tuple[bytes, bytes]]:
        return change.cursor(db=table).getmulti(keys)

    def put_many(self, change: Any, table: Any, entries: Iterable[tuple[bytes, bytes]]) -> None:
        change.cursor(db=table).putmulti(entries)

    def empty(self, change: Any, table: Any) -> None:
        change.drop(table, delete=False)

    def load_base(self, name: str, batches: Iterable[list[tuple[bytes, bytes]]]) -> None:
        """Written under another name, which says whose it is: another worker may load the same."""
        part = self.scratch / f"{name}.{os.getpid()}.part"
        try:
            lmdb_files.write_base(part, batches)
            part.replace(self.scratch / name)
        except lmdb.Error as error:
            raise BaseRefusedError(f"{part}: {error}; is the disk full?") from error
        finally:
            part.unlink(missing_ok=True)

    def has_base(self, name: str) -> bool:
        return (self.scratch / name).is_file()

    def keep_bases(self, names: set[str]) -> None:
        """A reader that has a removed one open keeps it."""
        for path in self.scratch.glob("base-*"):
            if path.name not in names and not path.name.endswith(".part"):
                path.unlink(missing_ok=True)

    def free_bytes(self) -> int:
        disk = os.statvfs(self.scratch)
        return disk.f_bavail * disk.f_frsize

    def forget_dead_readers(self) -> None:
        self._env.reader_check()

    def close(self) -> None:
        lmdb_files.end_writing(self.scratch)


def _fresh_after_power_cut(folder: Path) -> None:
    """Remove a store that was written before the host last started:
    its pages may be torn, and Kafka and S3 have all of it.
    """
    mark = folder / "boot-id"
    now = BOOT_ID.read_text() if BOOT_ID.exists() else ""
    if folder.exists() and (not mark.exists() or mark.read_text() != now):
        shutil.rmtree(folder)
    if not folder.exists():
        folder.mkdir(parents=True)
        mark.write_text(now)
