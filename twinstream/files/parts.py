"""What every reader of a file gives: good rows with their numbers, and the rows that cannot be read with why."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinstream.errors import PermanentError

BLOCK_BYTES = 16 << 20
MOST_ROW_BYTES = 16 << 20
"""A longer row cannot be read; so much of it is kept in its dead letter."""
Numbers = npt.NDArray[np.int64]


class UnreadableFileError(PermanentError, ValueError):
    """A file cannot be read as a whole: no row of it counts."""


class BadRow(NamedTuple):
    """One row that cannot be read. `number` counts the rows before it, `where` is what a person looks for (a line of the file)."""

    number: int
    where: str
    original: bytes
    reason: str


class Part(NamedTuple):
    """Some rows: text (a table whose columns are all text, or JSON objects as bytes) or typed columns. `numbers[i]`: of row i."""

    rows: pa.Table | list[bytes]
    numbers: Numbers
    bad: list[BadRow]


def original_of(rows: pa.Table | list[bytes], i: int) -> bytes:
    """Row i for its dead letter: the bytes themselves, or its cells as JSON where the form has no bytes for a row."""
    if isinstance(rows, list):
        return rows[i]
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
