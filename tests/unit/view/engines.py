"""Where the stores of a test's view lie: on disk in LMDB, or in memory. Each test of the law runs
on both.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Protocol

from predict_svc.view.adapters.dict_store import DictDisk, DictReads, DictStore
from predict_svc.view.adapters.lmdb_reads import LmdbReads
from predict_svc.view.adapters.lmdb_store import LmdbStore
from predict_svc.view.ports import StateReads, StateStore


class Engine(Protocol):
    """The stores of the partitions of one view; a folder each."""

    def open(self, folder: Path) -> StateStore:
        """To write; what was open before is taken for dead, unless it was closed."""

    def reads(self, folder: Path) -> StateReads: ...

    def wipe(self, folder: Path) -> None:
        """Lose the disk; the store was closed."""


class InLmdb:
    """Files."""

    def open(self, folder: Path) -> StateStore:
        return LmdbStore(folder, map_gib=1)

    def reads(self, folder: Path) -> StateReads:
        return LmdbReads(folder)

    def wipe(self, folder: Path) -> None:
        shutil.rmtree(folder)


class InMemory:
    """Dictionaries."""

    def __init__(self) -> None:
        self.disks: dict[Path, DictDisk] = {}

    def disk(self, folder: Path) -> DictDisk:
        if folder not in self.disks:
            folder.mkdir(parents=True)
            self.disks[folder] = DictDisk(folder)
        return self.disks[folder]

    def open(self, folder: Path) -> StateStore:
        return DictStore(self.disk(folder))

    def reads(self, folder: Path) -> StateReads:
        return DictReads(self.disk(folder))

    def wipe(self, folder: Path) -> None:
        self.disk(folder).wipe()


ENGINES: dict[str, type[InLmdb | InMemory]] = {"lmdb": InLmdb, "dict": InMemory}
