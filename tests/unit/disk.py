"""Fills a disk."""

from __future__ import annotations

import itertools
from contextlib import suppress
from pathlib import Path

BLOCK = bytes(4096)


def fill(folder: Path) -> None:
    """Leave not a block free; what fills it is the file `filler`."""
    with (folder / "filler").open("wb", buffering=0) as file, suppress(OSError):
        for _ in itertools.count():
            file.write(BLOCK)
