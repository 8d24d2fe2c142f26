"""Files that other processes read while they are written, and files that nobody reads after the process."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def write_whole(path: Path, data: bytes, mode: int = 0o666) -> None:
    """Replace `path` in one step: a reader sees the old bytes or the new ones, never a part. `mode`: as of `os.open`."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    with open(aside, "wb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
        file.write(data)
    aside.replace(path)


def scratch(path: Path) -> Path:
    """An empty folder for temporary files at `path`, absolute: what a killed process left there is deleted."""
    path = path.absolute()
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path
