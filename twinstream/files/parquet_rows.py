"""Parquet: the declared columns alone, in their own types. A page or a footer that cannot be read costs the file, a broken text one row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pa_parquet

from twinstream.files.encoding import is_utf8
from twinstream.files.parts import BadRow, Part, UnreadableFileError, original_of

BATCH_ROWS = 100_000
BROKEN = (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError, NotImplementedError)
"""What pyarrow raises on a footer or a page that is not what it says."""


@contextmanager
def readable() -> Iterator[None]:
    """Whatever pyarrow raises over a broken file, as UnreadableFileError."""
    try:
        yield
    except UnreadableFileError:
        raise
    except BROKEN as error:
        raise UnreadableFileError(
            f"its pages or its footer cannot be read: {str(error)[:500]}"
        ) from error


def read_parquet(
    source: Any, wanted: Sequence[str], batch_rows: int = BATCH_ROWS
) -> Iterator[Part]:
    """All rows, of those columns of `wanted` that are there. `source` is a path or a seekable file.

    Raises UnreadableFileError, perhaps after some parts: take none before the last came.
    """
    with readable(), pa_parquet.ParquetFile(source) as file:
        names = set(file.schema_arrow.names)
        number = 0
        for batch in file.iter_batches(
            batch_rows, columns=[name for name in wanted if name in names]
        ):
            table = pa.Table.from_batches([batch])
            yield _checked(table, number)
            number += batch.num_rows
        if number != file.metadata.num_rows:
            raise UnreadableFileError(
                f"its footer says {file.metadata.num_rows} rows, its pages hold {number}"
            )


def _checked(table: pa.Table, number: int) -> Part:
    """Arrow does not look whether Parquet's text is UTF-8; all that reads it later does."""
    broken: dict[int, str] = {}
    for name in table.column_names:
        column = table.column(name).combine_chunks()
        if _is_text(column.type) and not _is_valid(column):
            for row in _not_utf8(column):
                broken.setdefault(row, f"{name}: its text is not UTF-8")
    bad = [
        BadRow(
            number + row,
            f"row {number + row + 1}",
            original_of(table, row),
            f"row {number + row + 1}: {why}",
        )
        for row, why in sorted(broken.items())
    ]
    if not bad:
        return Part(table, np.arange(number, number + table.num_rows), bad)
    good = np.ones(table.num_rows, bool)
    good[list(broken)] = False
    return Part(table.filter(pa.array(good)), number + np.flatnonzero(good), bad)


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return (
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def _is_valid(column: pa.Array) -> bool:
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _not_utf8(column: pa.Array) -> npt.NDArray[np.int64]:
    """Rows whose text is none."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    data = pc.cast(column, pa.large_binary(), safe=False)
    return np.flatnonzero([value is not None and not is_utf8(value) for value in data.to_pylist()])
