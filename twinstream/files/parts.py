"""What every reader of a file gives: good rows with their numbers, and the rows that cannot be read
with why.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinstream.errors import PermanentError

BLOCK_BYTES = 16 << 20
MOST_ROW_BYTES = 16 << 20
"""A longer row cannot be read."""
KEPT_BYTES = 1 << 20
"""So much of a row lies in its dead letter; of a longer one the rest is found by its place in the
file.
"""
Numbers = npt.NDArray[np.int64]


class UnreadableFileError(PermanentError, ValueError):
    """A file cannot be read as a whole: no row of it counts."""


class BadRow(NamedTuple):
    """One row that cannot be read. `number` counts the rows before it, `where` is what a person
    looks for (a line of the file).
    """

    number: int
    where: str
    original: bytes
    reason: str


class Place(NamedTuple):
    """Where a row lies (`line 7`, or a row group and a row), and its own bytes."""

    where: str
    original: bytes


class Part(NamedTuple):
    """Some rows: text (a table whose columns are all text, or JSON objects as bytes) or typed
    columns.

    `numbers[i]` is that of row i, `place(i)` where it lies: asked only for a row that turns out to
    be bad.
    """

    rows: pa.Table | list[bytes]
    numbers: Numbers
    bad: list[BadRow]
    place: Callable[[int], Place]


def bad_row(
    number: int,
    place: Place,
    reason: str,
) -> BadRow:
    """A bad row whose reason begins with where it lies; of a long one the first bytes are kept."""
    if len(place.original) <= KEPT_BYTES:
        return BadRow(number, place.where, place.original, f"{place.where}: {reason}")
    return BadRow(
        number,
        place.where,
        place.original[:KEPT_BYTES],
        f"{place.where}: {reason} (its first {KEPT_BYTES} bytes are kept here)",
    )


def original_of(rows: pa.Table, i: int) -> bytes:
    """Row i for its dead letter: its cells as JSON, as a columnar form has no bytes for a row."""
    import json

    cells = {name: _cell(rows.column(name)[i]) for name in rows.column_names}
    return json.dumps(cells, default=str).encode("utf-8", "replace")


def _cell(scalar: pa.Scalar) -> Any:
    """A value that JSON can hold. Arrow has moments that Python has not."""
    try:
        return scalar.as_py()
    except (ValueError, OverflowError, UnicodeDecodeError, pa.ArrowException):
        return _plain(scalar)


def _plain(scalar: pa.Scalar) -> Any:
    try:
        return scalar.cast(pa.int64()).as_py()
    except (ValueError, pa.ArrowException):
        return f"a {scalar.type} that cannot be shown"


def head_of(path: Path, size: int = 4) -> bytes:
    """The first bytes of a file."""
    with path.open("rb") as file:
        return file.read(size)
