"""The port `Objects` over the mesh's object store: whole objects as a stream, parts of them as a
seekable file.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import BinaryIO, cast

from ingest_svc.ports import Head
from twinstream.mesh.object_store import ObjectStore
from twinstream.mesh.ranged_file import RangedFile


class S3Objects:
    """Reads S3 without holding an object in memory."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def head(self, uri: str, version_id: str) -> Head:
        """Size and version."""
        return self._store.head_uri(uri, version_id or None)

    def chunks(self, uri: str, version_id: str) -> Iterator[bytes]:
        """All bytes, in order."""
        return self._store.chunks_uri(uri, version_id or None)

    def open(
        self,
        uri: str,
        version_id: str,
        size_bytes: int,
    ) -> BinaryIO:
        """A seekable file that reads ranges."""
        ranged = RangedFile(self._store, uri, size_bytes, version_id or None)
        return cast("BinaryIO", io.BufferedReader(ranged, 1 << 16))
