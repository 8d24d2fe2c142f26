"""Files that other processes read while they are written, and files that nobody reads after the
process.
"""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

BLOCK_BYTES = 4096
FULL = (errno.ENOSPC, errno.EDQUOT)


def write_whole(
    path: Path,
    data: bytes,
    mode: int = 0o666,
) -> None:
    """Replace `path` in one step: a reader sees the old bytes or the new ones, never a part.
    `mode`: as of `os.open`.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(aside, "wb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            file.write(data)
        aside.replace(path)
    except OSError:
        aside.unlink(missing_ok=True)
        raise


def write_status(
    path: Path,
    document: bytes,
    mode: int = 0o600,
) -> bool:
    """Replace a small JSON file, on a full disk too: False when it was overwritten in place there,
    because no other file can be made.

    It is padded to whole blocks, which are there already then.
    A reader that meets one half written tries again.
    """
    padded = document.ljust(-(-len(document) // BLOCK_BYTES) * BLOCK_BYTES)
    try:
        write_whole(path, padded, mode)
    except OSError as error:
        if error.errno not in FULL:
            raise
        _overwrite(path, padded, error)
        return False
    return True


def _overwrite(
    path: Path,
    data: bytes,
    full: OSError,
) -> None:
    room = path.stat().st_size if path.exists() else 0
    if len(data) > room:
        raise full
    with path.open("r+b") as file:
        file.write(data.ljust(room))


def scratch(path: Path) -> Path:
    """An empty folder for temporary files at `path`, absolute: what a killed process left there is
    deleted.
    """
    path = path.absolute()
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path
