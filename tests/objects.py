"""An object store in memory, which passes the contract of the real one
(`tests/integration/test_objects.py`).
"""

from __future__ import annotations

import threading

from twinstream.errors import ObjectMissingError


class Objects:
    """Keys of one bucket; safe for threads."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self._lock = threading.Lock()

    def create(self, bucket: str, key: str, data: bytes) -> bool:
        with self._lock:
            return self.kept.setdefault(key, data) == data

    def put(self, bucket: str, key: str, data: bytes) -> None:
        self.kept[key] = data

    def get(self, bucket: str, key: str) -> bytes:
        if key not in self.kept:
            raise ObjectMissingError(f"s3://{bucket}/{key} is not there")
        return self.kept[key]

    def delete(self, bucket: str, key: str) -> None:
        self.kept.pop(key, None)

    def list(self, bucket: str, prefix: str = "") -> list[str]:
        return sorted(key for key in self.kept if key.startswith(prefix))
