"""How hot loops are compiled: on their first call, without the GIL, never with fastmath, and kept on disk under the digest of their sources.

numba notices a change only in the file of the outermost function; the digest in the folder's name covers what it calls as well.
Several processes may fill the folder at once, so compiled code uses numba's sort but never its argsort beside it: see `merging.merge_sort`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import ParamSpec, TypeVar

import numba

SOURCES = (
    "answer",
    "layout",
    "plan",
    "slots",
    "windows",
)  # what compiled code is made of, beside this folder
P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """The function as machine code. Its integers are int64, whose overflow is undefined (see `wide.py`); division by zero gives inf or nan."""
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = _folder(Path(function.__code__.co_filename).parent)
    try:
        return numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    finally:
        numba.config.CACHE_DIR = before


@cache
def _folder(loops: Path) -> str:
    """NUMBA_CACHE_DIR, else beside the sources, else the user's cache folder; then the digest of the sources, those of the folder `loops` with them."""
    algebra = Path(__file__).parent.parent
    digest = hashlib.sha256()
    for path in [
        *sorted({*algebra.glob("compiled/*.py"), *loops.glob("*.py")}),
        *(algebra / f"{name}.py" for name in SOURCES),
    ]:
        digest.update(path.read_bytes())
    beside = algebra / "__pycache__"
    home = (
        beside
        if os.access(beside if beside.is_dir() else algebra, os.W_OK)
        else Path.home() / ".cache" / "twinstream"
    )
    return str(Path(numba.config.CACHE_DIR or home) / f"numba-{digest.hexdigest()[:16]}")
