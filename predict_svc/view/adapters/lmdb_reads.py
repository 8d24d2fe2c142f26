"""Reads the LMDB files of one partition, in any process of their host."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import lmdb

from predict_svc.view.adapters import lmdb_files
from predict_svc.view.errors import ViewNotReadyError

LOOK_AGAIN_S = 0.2
KEPT_OPEN = 4  # bases; older ones are gone from the disk, and what still read them has long ended


class LmdbReads:
    """One partition. Notices when the store was deleted and built anew."""

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder)
        self.where = str(folder)
        self.tables: Sequence[Any] = ()
        self._path = self._folder / lmdb_files.FILE
        self._lock = threading.RLock()
        self._env: lmdb.Environment | None = None
        self._documents: Any = None
        self._inode = 0
        self._looked = 0.0
        self._bases: dict[str, lmdb.Environment] = {}

    def begin(self) -> Any:
        """LMDB's own transaction; raises ViewNotReadyError while there is no store."""
        now = time.monotonic()
        if self._env is None or now - self._looked > LOOK_AGAIN_S:
            self._look(now)
        try:
            return self._env.begin(self._documents)  # type: ignore[union-attr]
        except lmdb.MapResizedError:  # the writer came back with a larger map
            self.close()
            self._look(now)
            return self._env.begin(self._documents)  # type: ignore[union-attr]

    def base(self, name: str) -> Any:
        """The environment of a base, opened once."""
        with self._lock:
            if name not in self._bases:
                for gone in list(self._bases)[:-KEPT_OPEN]:
                    self._bases.pop(gone).close()
                try:
                    self._bases[name] = lmdb_files.open_base(self._folder / name)
                except lmdb.Error as error:
                    raise ViewNotReadyError(
                        f"{self._folder / name} cannot be opened: {error}"
                    ) from error
            return self._bases[name]

    def scan(
        self, moment: Any, table: Any = None, start: bytes = b""
    ) -> Iterator[tuple[bytes, bytes]]:
        """One cursor over the rest of a table."""
        cursor = moment.cursor(db=table)
        if cursor.set_range(start) if start else cursor.first():
            yield from cursor

    def close(self) -> None:
        """Release the files."""
        with self._lock:
            for env in self._bases.values():
                env.close()
            if self._env is not None and not lmdb_files.is_shared(self._env):
                self._env.close()
            self._env = None
            self._bases = {}
            self.tables = ()

    def _look(self, now: float) -> None:
        """Open the store, or another one that took its place."""
        with self._lock:
            self._looked = now
            try:
                inode = self._path.stat().st_ino
            except OSError as error:
                self.close()
                raise ViewNotReadyError(
                    f"{self.where}: there is no view on this host yet; is its worker running?"
                ) from error
            if self._env is None or inode != self._inode:
                self.close()
                self._open(inode)

    def _open(self, inode: int) -> None:
        try:
            opened = lmdb_files.open_to_read(self._folder)
        except lmdb.Error as error:
            raise ViewNotReadyError(
                f"{self.where}: the store cannot be opened yet: {error}"
            ) from error
        self._documents = opened.documents
        self.tables = list(opened.tables)  # another object: what was seen before is no longer open
        self._env = opened.environment
        self._inode = inode
