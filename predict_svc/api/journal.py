"""Answers' events in files of this host until Kafka has them: a process that is killed leaves no
id behind that nobody can rebuild.
"""

# A file is a run of entries, each with a header of its own, in memory that the file backs: what was
# written there is the kernel's, and outlives the process. A host that loses power may lose the last
# seconds.

from __future__ import annotations

import fcntl
import mmap
import os
import struct
import threading
import uuid
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

SEGMENT_BYTES = 4 << 20
SUFFIX, NEW = ".events", ".new"
_HEADER = struct.Struct("<IIII")  # state, checksum, bytes of the key, bytes of the value
_STATE = struct.Struct("<I")
_ALIGNED = 8
_FREE, _KEPT, _SENT = 0, 1, 2
Sent = Callable[[], None]


class Entry(NamedTuple):
    """One event as it goes to Kafka."""

    key: bytes
    value: bytes


class Segment:
    """One file, locked by who holds it; the lock ends with the process, however that ends."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.waiting = 0
        """Entries that Kafka does not have yet, as far as is known."""
        self.closed = False
        self._descriptor = descriptor
        self._words = mmap.mmap(descriptor, 0)
        self._end = 0

    def add(self, entry: Entry) -> int | None:
        """Where the entry lies now; None when there is no room for it."""
        at = self._end
        body = at + _HEADER.size
        whole = body + len(entry.key) + len(entry.value)
        if whole + _HEADER.size > len(self._words):
            return None
        self._words[body:whole] = entry.key + entry.value
        header = _HEADER.pack(_KEPT, _checksum(entry), len(entry.key), len(entry.value))
        self._words[at + _STATE.size : body] = header[_STATE.size :]
        self._words[at : at + _STATE.size] = header[: _STATE.size]  # from now on it is there
        self._end = -(-whole // _ALIGNED) * _ALIGNED
        self.waiting += 1
        return at

    def mark(self, at: int) -> None:
        """Kafka has the entry there."""
        self._words[at : at + _STATE.size] = _STATE.pack(_SENT)
        self.waiting -= 1

    def unsent(self) -> Iterator[tuple[int, Entry]]:
        """The whole entries that Kafka may not have, in their order, with where each lies."""
        at = 0
        while at + _HEADER.size <= len(self._words):
            state, checksum, key, value = _HEADER.unpack_from(self._words, at)
            body = at + _HEADER.size
            whole = body + key + value
            if state not in {_KEPT, _SENT} or whole > len(self._words):
                return
            middle = body + key
            entry = Entry(self._words[body:middle], self._words[middle:whole])
            if state == _KEPT and _checksum(entry) == checksum:
                yield at, entry
            at = -(-whole // _ALIGNED) * _ALIGNED

    def close(self) -> None:
        """Let others have it."""
        self.closed = True
        self._words.close()
        os.close(self._descriptor)

    def remove(self) -> None:
        """Nothing in it is needed any more."""
        self.path.unlink(missing_ok=True)
        self.close()


class Journal:
    """The entries of one process. Safe for threads."""

    def __init__(self, folder: Path, segment_bytes: int = SEGMENT_BYTES) -> None:
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._lock = threading.Lock()
        self._segment: Segment | None = None
        self._full: set[Segment] = set()  # those that still wait for Kafka
        folder.mkdir(parents=True, exist_ok=True)

    def keep(self, entry: Entry) -> Sent:
        """Keep an entry until what this returns is called; raises OSError when the disk has no
        room.
        """
        with self._lock:
            segment = self._segment
            at = None if segment is None else segment.add(entry)
            if segment is None or at is None:
                segment, at = self._begin(entry)
        return lambda: self._sent(segment, at)

    def close(self) -> None:
        """Of a process that ends: what Kafka has is dropped, the rest is for the next one."""
        with self._lock:
            if self._segment is not None:
                self._fill(self._segment)
                self._segment = None
            for segment in self._full:
                segment.close()
            self._full.clear()

    def _begin(self, entry: Entry) -> tuple[Segment, int]:
        """A new file with its first entry."""
        least = 2 * _HEADER.size + len(entry.key) + len(entry.value)
        size = max(self._segment_bytes, least)
        begun = create(self._folder, size)
        if self._segment is not None:
            self._fill(self._segment)
        self._segment = begun
        at = begun.add(entry)
        assert at is not None
        return begun, at

    def _sent(self, segment: Segment, at: int) -> None:
        with self._lock:
            if segment.closed:
                return
            segment.mark(at)
            if segment in self._full and not segment.waiting:
                self._full.remove(segment)
                segment.remove()

    def _fill(self, segment: Segment) -> None:
        """Nothing is added to it any more."""
        if segment.waiting:
            self._full.add(segment)
        else:
            segment.remove()


def create(folder: Path, size: int) -> Segment:
    """A new file with room for so many bytes, held by this process; raises OSError without it."""
    path = folder / f"{uuid.uuid4().hex}{SUFFIX}"
    new = path.with_suffix(NEW)
    descriptor = os.open(new, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.posix_fallocate(descriptor, 0, size)
        new.rename(path)  # nobody sees a file that is not held
    except OSError:
        new.unlink(missing_ok=True)
        os.close(descriptor)
        raise
    return Segment(path, descriptor)


def left_behind(folder: Path) -> Iterator[Segment]:
    """The files of processes that are gone, the oldest first; from now on this process holds
    them.
    """
    for path in folder.glob(f"*{NEW}"):
        if (unfinished := _taken(path)) is not None:
            unfinished.remove()
    for path in sorted(folder.glob(f"*{SUFFIX}"), key=_modified):
        segment = _taken(path)
        if segment is not None:
            yield segment


def _taken(path: Path) -> Segment | None:
    """The file at a path, unless somebody holds it or it is gone."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    if not os.fstat(descriptor).st_size:  # nothing can be mapped, nothing is in it
        path.unlink(missing_ok=True)
        os.close(descriptor)
        return None
    return Segment(path, descriptor)


def _modified(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _checksum(entry: Entry) -> int:
    return zlib.crc32(entry.value, zlib.crc32(entry.key))
