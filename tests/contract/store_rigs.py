"""A store of each kind, with the faults that its engine can have."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from predict_svc.view.adapters.dict_store import (
    DictDisk,
    DictReads,
    DictStore,
    StoreCrashedError,
)
from predict_svc.view.adapters.lmdb_reads import LmdbReads
from predict_svc.view.adapters.lmdb_store import LmdbStore
from predict_svc.view.ports import StateReads, StateStore

CAPACITY = 1 << 30
ROOT = Path(__file__).parents[2]


class Rig(Protocol):
    """One store, on one host."""

    def open(self) -> StateStore: ...

    def reads(self) -> StateReads: ...

    def crash(self, work: str) -> None:
        """A process opens the store, does a part of `work` (a name in WORKS), and is killed."""

    def power_cut(self) -> None:
        """The host starts again; the store was closed."""

    def lose_disk(self) -> None: ...


def half_a_write(store: StateStore, stop: Callable[[], None]) -> None:
    """Everything is put and nothing committed when it stops."""
    with store.writing() as change:
        change.put(b"progress", b"lost")
        store.put_many(change, store.tables[0], [(b"key", b"lost"), (b"other", b"lost")])
        store.empty(change, store.tables[1])
        stop()


def half_a_base(store: StateStore, stop: Callable[[], None]) -> None:
    """The first entries are written when it stops."""

    def batches() -> Iterator[list[tuple[bytes, bytes]]]:
        yield [(b"a", b"1"), (b"b", b"2")]
        stop()
        yield [(b"c", b"3")]

    store.load_base("base-9", batches())


WORKS = {"half a write": half_a_write, "half a base": half_a_base}


class LmdbRig:
    """Files in a folder, and processes that are killed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "store"

    def open(self) -> StateStore:
        return LmdbStore(self._folder, map_gib=CAPACITY >> 30)

    def reads(self) -> StateReads:
        return LmdbReads(self._folder)

    def crash(self, work: str) -> None:
        command = [sys.executable, "-m", "tests.contract.store_rigs", str(self._folder), work]
        ended = subprocess.run(command, cwd=ROOT, check=False, timeout=120)
        assert ended.returncode == -signal.SIGKILL

    def power_cut(self) -> None:
        (self._folder / "boot-id").write_text("the start before")

    def lose_disk(self) -> None:
        shutil.rmtree(self._folder)


class DictRig:
    """A dictionary."""

    def __init__(self, folder: Path) -> None:
        self._disk = DictDisk(folder, capacity_bytes=CAPACITY)

    def open(self) -> StateStore:
        return DictStore(self._disk)

    def reads(self) -> StateReads:
        return DictReads(self._disk)

    def crash(self, work: str) -> None:
        def stop() -> None:
            raise StoreCrashedError(work)

        store = self.open()
        try:
            WORKS[work](store, stop)
        except StoreCrashedError:
            self._disk.crash()

    def power_cut(self) -> None:
        self._disk.wipe()

    def lose_disk(self) -> None:
        self._disk.wipe()


RIGS: dict[str, type[LmdbRig | DictRig]] = {"lmdb": LmdbRig, "dict": DictRig}


if __name__ == "__main__":
    WORKS[sys.argv[2]](
        LmdbStore(Path(sys.argv[1]), map_gib=CAPACITY >> 30),
        lambda: os.kill(os.getpid(), signal.SIGKILL),
    )
