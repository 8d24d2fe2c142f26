"""Memory of processes with all that they started, from Linux's accounts:
what is theirs alone, and their share of mapped files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import psutil

KINDS = {"anonymous": ("Pss_Anon", "Pss_Shmem"), "files": ("Pss_File",)}
Series = Sequence[tuple[float, float]]


def of_tree(pid: int) -> dict[str, float]:
    """Proportional set size in MB of a process and its children:
    `anonymous` cannot be given back, `files` (LMDB, code) are cache.
    """
    found = dict.fromkeys(KINDS, 0.0)
    for process in _tree(pid):
        kilobytes = _rollup(process.pid)
        for kind, names in KINDS.items():
            found[kind] += sum(kilobytes.get(name, 0) for name in names) / 1000
    return found


def slope_per_minute(series: Series) -> float:
    """Least squares over (minute, MB)."""
    minutes, megabytes = np.array(series).T
    return float(np.polyfit(minutes, megabytes, 1)[0])


def folder_mb(path: str | Path) -> float:
    """Space that a folder's files take on the disk."""
    return sum(_blocks(file) for file in Path(path).rglob("*")) * 512 / 1e6


def _tree(pid: int) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _rollup(pid: int) -> Mapping[str, int]:
    """Kilobytes by name; nothing for a process that has ended in between."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    except (FileNotFoundError, ProcessLookupError):
        return {}
    return {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}


def _blocks(file: Path) -> int:
    """512-byte blocks; none for a file that was removed in between."""
    try:
        return file.lstat().st_blocks
    except FileNotFoundError:
        return 0
