"""The port `Objects` over the mesh's object store: whole objects as a stream, parts of them as a seekable file."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

from botocore.exceptions import BotoCoreError

from ingest_svc.ports import Head
from twinstream.errors import MeshError
from twinstream.mesh.object_store import ObjectStore


class S3Objects:
    """Reads S3 without holding an object in memory."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def head(self, uri: str, version_id: str) -> Head:
        """Size and version."""
        try:
            return self._store.head_uri(uri, version_id or None)
        except BotoCoreError as error:
            raise MeshError(f"{uri}: S3 does not answer: {error}") from error

    def chunks(self, uri: str, version_id: str) -> Iterator[bytes]:
        """All bytes, in order."""
        return self._store.chunks_uri(uri, version_id or None)

    def open(self, uri: str, version_id: str, size_bytes: int) -> BinaryIO:
        """A seekable file that reads ranges."""
        ranged = RangedFile(self._store, uri, version_id, size_bytes)
        return cast("BinaryIO", io.BufferedReader(ranged, 1 << 16))


class RangedFile(io.RawIOBase):
    """An object on S3 as a raw file; every read is one ranged request."""

    def __init__(self, store: ObjectStore, uri: str, version_id: str, size_bytes: int) -> None:
        super().__init__()
        self._store, self._uri, self._version, self._size, self._at = store, uri, version_id or None, size_bytes, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Fill `buffer` from here on; 0 at the end."""
        count = min(len(buffer), self._size - self._at)
        if count <= 0:
            return 0
        data = self._store.range_uri(self._uri, self._at, count, self._version)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
