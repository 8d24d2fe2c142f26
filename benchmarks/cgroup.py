"""A bound on the memory of a process and of the page cache that it fills, by Linux's control groups
(version 1 or 2). Needs root.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")


@contextmanager
def bounded(limit_bytes: int) -> Iterator[Path | None]:
    """The file to which a process writes its id to be bounded; None where groups cannot be made:
    then nothing is.
    """
    group, limit = _place()
    try:
        group.mkdir()
        (group / limit).write_text(str(limit_bytes))
    except OSError:
        if group.is_dir():
            group.rmdir()
        yield None
        return
    try:
        yield group / "cgroup.procs"
    finally:
        group.rmdir()


def _place() -> tuple[Path, str]:
    name = f"twinstream-bench-{os.getpid()}"
    if (ROOT / "memory").is_dir():
        return ROOT / "memory" / name, "memory.limit_in_bytes"
    return ROOT / name, "memory.max"
