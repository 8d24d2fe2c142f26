"""Which file is being read: noted on S3 before, taken back after.
What kills its reader leaves its mark behind, and three marks are enough.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from twinstream.mesh.object_store import ObjectStore, split_uri
from twinstream.mesh.quarantine import ATTEMPTS


class ReadingMarks:
    """Marks of the files of one epoch, as objects `uri/<number of the file>/<any name>`."""

    def __init__(self, store: ObjectStore, uri: str) -> None:
        self._store, (self._bucket, self._prefix) = store, split_uri(uri)

    @contextmanager
    def reading(self, number: int) -> Iterator[None]:
        """The mark is there while the block runs, and stays when the process dies in it;
        an error is no death.
        """
        key = f"{self._prefix}/{number}/{uuid.uuid4().hex}"
        self._store.put(self._bucket, key, b"")
        try:
            yield
        finally:
            self._store.delete(self._bucket, key)

    def is_deadly(self, number: int) -> bool:
        """Whether a file's readers died so often that it is not read again."""
        return len(self._store.list(self._bucket, f"{self._prefix}/{number}/")) >= ATTEMPTS

    def deaths(self) -> Counter[int]:
        """Marks that are there, by number of the file."""
        keys = self._store.list(self._bucket, self._prefix + "/")
        return Counter(int(key.split("/")[-2]) for key in keys)

    def forgive(self) -> None:
        """Take back all marks: their readers were stopped, and did not die of a file."""
        for key in self._store.list(self._bucket, self._prefix + "/"):
            self._store.delete(self._bucket, key)
