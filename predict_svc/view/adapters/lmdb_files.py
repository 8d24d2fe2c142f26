"""How LMDB is opened: the store of a view and partition, for its writer and its readers,
and a base, which never changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import lmdb

from predict_svc.view.errors import BaseRefusedError
from predict_svc.view.ports import SLOTS

FILE = "speed.lmdb"
DOCUMENTS = b"meta"
MAX_DBS = 64
MAX_READERS = 512
MAP_BYTES = 1 << 38  # address space while a base is loaded; the file takes what it needs


class Opened(NamedTuple):
    """A store with its documents and its tables of states."""

    environment: lmdb.Environment
    documents: Any
    tables: Sequence[Any]


_written_here: dict[Path, Opened] = {}
"""LMDB must not be opened twice in one process, and to open a table waits for the writer with
Python's lock in hand, for which the writer may wait: readers beside a writer share what it opened.
"""


def table(slot: int) -> bytes:
    """Name of a table of speed states."""
    return b"speed-%02d" % slot


def open_to_write(folder: Path, *, map_gib: int) -> Opened:
    """For the writer. It survives a killed process; after a power cut the store is built anew."""
    environment = lmdb.open(
        str(folder / FILE),
        subdir=False,
        map_size=map_gib << 30,
        max_dbs=MAX_DBS,
        max_readers=MAX_READERS,
        lock=True,
        sync=False,
        metasync=False,
        writemap=True,
        readahead=False,
        meminit=False,
    )
    opened = _opened(environment, create=True)
    _written_here[folder.resolve()] = opened
    return opened


def end_writing(folder: Path) -> None:
    """Close a store that was opened to write."""
    _written_here.pop(folder.resolve()).environment.close()


def open_to_read(folder: Path) -> Opened:
    """For a reader, also in the writer's process; raises lmdb.Error when there is no store."""
    shared = _written_here.get(folder.resolve())
    if shared is not None:
        return shared
    path = folder / FILE
    if not path.exists():
        raise lmdb.Error(f"{path} is not there")
    environment = _read_only(path)
    try:
        return _opened(environment, create=False)
    except lmdb.Error:
        environment.close()
        raise


def _read_only(path: Path) -> lmdb.Environment:
    return lmdb.open(  # the writer's map is as large as its file
        str(path),
        subdir=False,
        readonly=True,
        map_size=path.stat().st_size,
        max_dbs=MAX_DBS,
        max_readers=MAX_READERS,
        lock=True,
        readahead=False,
    )


def _opened(environment: lmdb.Environment, *, create: bool) -> Opened:
    documents = environment.open_db(DOCUMENTS, create=create)
    tables = [environment.open_db(table(slot), create=create) for slot in range(SLOTS)]
    return Opened(environment, documents, tables)


def is_shared(environment: lmdb.Environment) -> bool:
    """Whether a reader's environment is its writer's, and so not the reader's to close."""
    return any(environment is opened.environment for opened in _written_here.values())


def open_base(path: Path) -> lmdb.Environment:
    """A landed base."""
    return lmdb.open(
        str(path),
        subdir=False,
        readonly=True,
        create=False,
        lock=False,
        readahead=False,
        max_spare_txns=8,
    )


def write_base(path: Path, batches: Iterable[list[tuple[bytes, bytes]]]) -> None:
    """A new file of sorted entries; raises BaseRefusedError when they are not sorted."""
    environment = lmdb.open(
        str(path), subdir=False, lock=False, sync=False, metasync=False, map_size=MAP_BYTES
    )
    try:
        for batch in batches:
            with environment.begin(write=True) as txn:
                _, added = txn.cursor().putmulti(batch, append=True)
            if added != len(batch):
                raise BaseRefusedError(f"{path.name}: keys are not in order, or one comes twice")
    finally:
        environment.close()
