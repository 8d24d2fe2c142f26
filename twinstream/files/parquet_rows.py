"""Parquet: the declared columns alone, in their own types.
A page or a footer that cannot be read costs the file, a broken text one row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pa_parquet

from twinstream.files.encoding import is_utf8
from twinstream.files.limits import check_expansion, check_rows
from twinstream.files.parts import Numbers, Part, Place, UnreadableFileError, bad_row, original_of

BATCH_ROWS = 100_000
BROKEN = (pa.ArrowException, OSError, ValueError, OverflowError, NotImplementedError)
"""What pyarrow raises on a footer or a page that is not what it says."""


@contextmanager
def readable() -> Iterator[None]:
    """Whatever pyarrow raises over a broken file, as UnreadableFileError."""
    try:
        yield
    except UnreadableFileError:
        raise
    except MemoryError:
        raise
    except BROKEN as error:
        raise UnreadableFileError(
            f"its pages or its footer cannot be read: {str(error)[:500]}"
        ) from error


def check_parquet(
    path: Path,
    wanted: Sequence[str],
    most_bytes: int,
) -> None:
    """Raise UnreadableFileError when the footer alone says that the file is none,
    or expands to too much.
    """
    with readable(), pa_parquet.ParquetFile(path) as file:
        check_rows(file.metadata.num_rows, path.stat().st_size)
        check_expansion(file.metadata, set(wanted), most_bytes)


def read_parquet(
    source: Any,
    wanted: Sequence[str],
    batch_rows: int = BATCH_ROWS,
) -> Iterator[Part]:
    """All rows, of those columns of `wanted` that are there. `source` is a path or a seekable file.

    Raises UnreadableFileError, perhaps after some parts: take none before the last came.
    """
    with readable(), pa_parquet.ParquetFile(source, page_checksum_verification=True) as file:
        groups = _ends(file.metadata)
        _check_columns(file.schema_arrow, wanted)
        names = set(file.schema_arrow.names)
        columns = [name for name in wanted if name in names]
        number = 0
        for batch in file.iter_batches(batch_rows, columns=columns):
            yield checked(pa.Table.from_batches([batch]), number, groups)
            number += batch.num_rows
        if number != file.metadata.num_rows:
            raise UnreadableFileError(
                f"its footer says {file.metadata.num_rows} rows, its pages hold {number}"
            )


def _check_columns(schema: pa.Schema, wanted: Sequence[str]) -> None:
    """Refuses, before a page of it is read, what no field can be:
    one of several of a name, and lists, structs and maps, of which a small file may hold any
    amount.
    """
    counts = Counter(schema.names)
    for name in wanted:
        if counts[name] > 1:
            raise UnreadableFileError(f"column {name!r} is there {counts[name]} times")
        if counts[name] and pa.types.is_nested(schema.field(name).type):
            raise UnreadableFileError(f"column {name!r} is {schema.field(name).type}")


def _ends(metadata: pa_parquet.FileMetaData) -> Numbers:
    """Of each row group the row behind its last."""
    counts = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
    return np.cumsum(counts, dtype=np.int64)


def checked(
    table: pa.Table,
    number: int,
    groups: Numbers,
) -> Part:
    """Arrow does not look whether Parquet's text is UTF-8; all that reads it later does."""
    table, as_bytes, broken = _with_bytes(table)
    if not as_bytes:
        numbers = np.arange(number, number + table.num_rows)
        return Part(table, numbers, [], lambda i: _place(table, i, number, groups))
    bad = [
        bad_row(number + row, _place(table, row, number, groups), why)
        for row, why in sorted(broken.items())
    ]
    good = np.ones(table.num_rows, bool)
    good[list(broken)] = False
    kept = _as_text(table.filter(pa.array(good)), as_bytes)
    numbers = number + np.flatnonzero(good)
    return Part(kept, numbers, bad, lambda i: _place(kept, i, int(numbers[i]) - i, groups))


def _with_bytes(table: pa.Table) -> tuple[pa.Table, list[int], dict[int, str]]:
    """The table, columns with broken text as bytes; which these are; and each broken row with why.

    A dictionary with one broken text breaks every row that is decoded with it: as bytes each row
    has its own.
    """
    broken: dict[int, str] = {}
    as_bytes: list[int] = []
    for at, name in enumerate(table.column_names):
        column = table.column(at).combine_chunks()
        if _is_text(column.type) and not _is_valid(column):
            data = _bytes_of(column)
            for row in _not_utf8(data):
                broken.setdefault(row, f"{name}: its text is not UTF-8")
            table = table.set_column(at, name, data)
            as_bytes.append(at)
    return table, as_bytes, broken


def _place(
    table: pa.Table,
    i: int,
    before: int,
    groups: Numbers,
) -> Place:
    """Where row i lies, and its cells; `before`: rows of the file before row 0."""
    row = before + i
    group = int(np.searchsorted(groups, row, "right"))
    start = int(groups[group - 1]) if group else 0
    where = f"row {row + 1} (row group {group + 1}, row {row - start + 1} of it)"
    return Place(where, original_of(table, i))


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


def _bytes_of(column: pa.Array) -> pa.Array:
    """The bytes of each row's text, whatever they are."""
    if pa.types.is_dictionary(column.type):
        values = column.dictionary.cast(pa.large_binary(), safe=False)
        return values.take(column.indices)
    return column.cast(pa.large_binary(), safe=False)


def _as_text(table: pa.Table, columns: list[int]) -> pa.Table:
    """The rows that are left, with these columns as text again."""
    for at in columns:
        text = table.column(at).cast(pa.large_string())
        table = table.set_column(at, table.column_names[at], text)
    return table


def _not_utf8(data: pa.Array) -> npt.NDArray[np.int64]:
    """Rows whose text is none."""
    return np.flatnonzero([value is not None and not is_utf8(value) for value in data.to_pylist()])
