"""A folder for one piece of work, which does not outlive its process for long: the next one clears
away what a killed one left.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def working_folder(kind: str, parent: Path | None = None) -> Iterator[Path]:
    """A new folder, deleted at the end of the block; `kind` is part of its name. `parent`: where,
    if not among temporary files.
    """
    host = re.sub(r"\W", "_", socket.gethostname())
    prefix = f"twinstream-{kind}-{host}-"
    where = parent or Path(tempfile.gettempdir())
    _clear(where, prefix)
    with tempfile.TemporaryDirectory(prefix=f"{prefix}{os.getpid()}-", dir=where) as folder:
        yield Path(folder)


def _clear(where: Path, prefix: str) -> None:
    """Delete folders of processes of this host that are gone; one in use by another user stays."""
    for path in where.glob(f"{prefix}*"):
        owner = path.name.removeprefix(prefix).split("-")[0]
        if owner.isdigit() and not _is_alive(int(owner)):
            shutil.rmtree(path, ignore_errors=True)


def _is_alive(process: int) -> bool:
    with suppress(PermissionError):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return False
    return True
