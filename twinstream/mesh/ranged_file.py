"""An object on S3 as a file that is read by ranges, so that a reader of Parquet takes only the
parts that it wants.
"""

from __future__ import annotations

import io
from typing import Any, Protocol


class Ranges(Protocol):
    """Where parts of objects come from; `ObjectStore` is one."""

    def range_uri(
        self,
        uri: str,
        start: int,
        length: int,
        version_id: str | None = None,
    ) -> bytes: ...


class RangedFile(io.RawIOBase):
    """`size_bytes` long; every read is one ranged request."""

    def __init__(
        self,
        store: Ranges,
        uri: str,
        size_bytes: int,
        version_id: str | None = None,
    ) -> None:
        super().__init__()
        self._store, self._uri, self._size, self._version, self._at = (
            store,
            uri,
            size_bytes,
            version_id,
            0,
        )

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

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes from here on, all that follow when it is negative; b"" at the end."""
        rest = max(self._size - self._at, 0)
        wanted = rest if size is None or size < 0 else min(size, rest)
        found = self._store.range_uri(self._uri, self._at, wanted, self._version) if wanted else b""
        self._at += len(found)
        return found

    def readinto(self, buffer: Any) -> int:
        """Fill `buffer` from here on; 0 at the end."""
        found = self.read(len(buffer))
        buffer[: len(found)] = found
        return len(found)
