"""Logs of the mesh's processes: bounded while they are written, and what a process said last."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import msgspec

from twinstream.errors import UNDECODABLE

MAX_LOG_BYTES = 20_000_000
"""Of one log; one older log of each process is kept."""
TAIL_BYTES = 16_384
LONGEST_WORDS = 400
LAST_LINES = 3
FRAMES = (" ", "\t", "...", "Traceback ", "at ")
"""How lines of a stack trace begin, which say where and not what."""
SAID = ("reason", "error", "exception")


def bound(path: Path, limit: int = MAX_LOG_BYTES) -> bool:
    """Begin a log that has grown past the limit anew, under the process that goes on appending to
    it; True when that was done.

    What it held is then in `<name>.log.1`, unless the disk has no room for it.
    A line written in between may be lost.
    """
    if not path.exists() or path.stat().st_size <= limit:
        return False
    _keep(path, path.with_suffix(".log.1"))
    os.truncate(path, 0)
    return True


def _keep(path: Path, older: Path) -> None:
    try:
        shutil.copyfile(path, older)
        older.chmod(0o600)
    except OSError:
        older.unlink(missing_ok=True)


def size_of(path: Path) -> int:
    """Its bytes; 0 when there is no such file."""
    return path.stat().st_size if path.exists() else 0


def last_words(path: Path, begin: int = 0) -> str:
    """The last lines after the byte `begin` that say something, as one line; "" for none."""
    lines: list[str] = []
    for line in tail(path, begin):
        if (
            line.strip()
            and not line.startswith(FRAMES)
            and (said := _plain(line)) not in lines[-1:]
        ):
            lines.append(said)
    return " | ".join(lines[-LAST_LINES:])[-LONGEST_WORDS:]


def tail(path: Path, begin: int) -> list[str]:
    """Its last lines; all of them when it was begun anew meanwhile."""
    size = size_of(path)
    start = max(begin if begin <= size else 0, size - TAIL_BYTES)
    if not size:
        return []
    with path.open("rb") as file:
        file.seek(start)
        return file.read(TAIL_BYTES).decode(errors="replace").splitlines()


def _plain(line: str) -> str:
    """A line of our own services' JSON as words."""
    try:
        found = msgspec.json.decode(line)
    except UNDECODABLE:
        return line.strip()
    return _words(found) if isinstance(found, dict) else line.strip()


def _words(found: dict[str, object]) -> str:
    """The event, and the last line of each reason that it gives."""
    texts = [str(found.get(name) or "").strip() for name in SAID]
    said = [text.splitlines()[-1] for text in texts if text]
    return ": ".join([str(found.get("event", "")), *said])
