"""The folder of what is fetched or made once per user, and a lock for those who fill it at the same
time.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from twinstream.errors import SettingsError


def cache_folder() -> Path:
    """`TWINSTREAM_CACHE`, else `twinstream` in the user's cache folder; made when missing.

    Raises SettingsError when it cannot be.
    """
    try:
        folder = _named()
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError) as error:
        raise SettingsError(
            f"the engines' jars have no place ({error}): "
            "set TWINSTREAM_CACHE to a folder that can be written to"
        ) from error
    if os.pathsep in str(folder):
        raise SettingsError(
            f"Java cannot read jars from {folder}, because of the {os.pathsep} in it: "
            "set TWINSTREAM_CACHE to another folder"
        )
    return folder


def _named() -> Path:
    """As the environment says; raises RuntimeError for a user without a home."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("TWINSTREAM_CACHE") or Path(base) / "twinstream").absolute()


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Only one process at a time is inside for the same path; the lock ends with the process that
    holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f".{path.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
