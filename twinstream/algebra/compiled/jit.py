"""How hot loops are compiled: on their first call, without the GIL, never with fastmath, and kept
on disk under the digest of their sources.

numba notices a change only in the file of the outermost function; the digest in the folder's name
covers what it calls as well. Several processes may fill the folder at once, so compiled code uses
numba's sort but never its argsort beside it: see `merging.merge_sort`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Generic, ParamSpec, TypeVar

SOURCES = ("answer", "layout", "merged", "tables", "windows")
"""Modules of the algebra that compiled code is made of, beside this folder and the aggregates."""
ALGEBRA = Path(__file__).parent.parent
P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """The function as machine code.

    Its integers are int64, whose overflow is undefined (see `wide.py`); division by zero gives inf
    or nan.
    """
    import numba

    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = _folder(Path(function.__code__.co_filename).parent)
    try:
        return numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    finally:
        numba.config.CACHE_DIR = before


def compiled_late(function: Callable[P, R]) -> Callable[P, R]:
    """`compiled`, but numba is loaded by the first caller: for what modules hold that a definition
    imports.
    """
    return Late(function)


class Late(Generic[P, R]):
    """A function that is compiled when it is first called, from compiled code or from Python."""

    def __init__(self, function: Callable[P, R]) -> None:
        self._function = function
        self.__module__ = function.__module__

    @cached_property
    def _compiled(self) -> Any:
        return compiled(self._function)

    @property
    def _numba_type_(self) -> Any:
        """What numba asks of a name that compiled code uses."""
        return self._compiled._numba_type_

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        found: R = self._compiled(*args, **kwargs)
        return found


@cache
def _folder(loops: Path) -> str:
    """Where compiled code is kept: a folder named by the digest of the sources, those of the folder
    `loops` with them.
    """
    import numba

    digest = hashlib.sha256()
    folders = {ALGEBRA / "aggregates", ALGEBRA / "compiled", loops}
    found = {path for folder in folders for path in folder.glob("*.py")}
    for path in [*sorted(found), *(ALGEBRA / f"{name}.py" for name in SOURCES)]:
        digest.update(path.read_bytes())
    return str(Path(numba.config.CACHE_DIR or _home()) / f"numba-{digest.hexdigest()[:16]}")


def _home() -> Path:
    """Beside the sources, else the user's cache folder."""
    beside = ALGEBRA / "__pycache__"
    writable = os.access(beside if beside.is_dir() else ALGEBRA, os.W_OK)
    return beside if writable else Path.home() / ".cache" / "twinstream"
