"""One batch process of a data folder at a time, by a lock that the kernel frees when its process
ends, however it ends.
"""

# Two at once would both point the history's partitions at their own rows, and publish an epoch with
# different files.

from __future__ import annotations

import fcntl
import threading
from pathlib import Path

import structlog

POLL_S = 0.2
_log = structlog.get_logger()


class FolderLock:
    """Held from `acquire` on until `release` or the end of the process."""

    def __init__(self, data: str) -> None:
        self._path = Path(data) / "batch" / "lock"
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._path.open("w")

    def acquire(self, stopping: threading.Event) -> bool:
        """Wait until no other process holds it; False when `stopping` came first."""
        told = False
        while not stopping.is_set():
            if self._taken():
                return True
            if not told:
                _log.warning("waiting_for_other_batch_process", lock=str(self._path))
            told = True
            stopping.wait(POLL_S)
        return False

    def release(self) -> None:
        """Let the next one go on."""
        self._file.close()

    def _taken(self) -> bool:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
