"""The audit's own reader of files: the rules of `docs/definition.md` written a second time, row by row, with Python's csv module.

It shares with the mesh what a field means (`Decoder`); which rows a file has, and which of their cells are null, it finds by itself.
A row's number is its place among the rows that are not blank, good or not.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pa_parquet

from twinstream.define.records import Decoded, Decoder

BOM = b"\xef\xbb\xbf"
LONGEST_CELL = 2**31 - 1


def decode_file(decoder: Decoder, data: bytes, form: str) -> Decoded:
    """All rows of a file that count; `index` of the result says which row each was."""
    if form == "parquet":
        return _parquet(decoder, data)
    if form == "csv":
        return _csv(decoder, data)
    lines = [line for line in data.removeprefix(BOM).splitlines() if line.strip()]
    return decoder.json(lines)


def _csv(decoder: Decoder, data: bytes) -> Decoded:
    """A ragged row, one that is not UTF-8, and what follows an unclosed quote do not count; only an empty cell is null."""
    rows = csv_rows(data)
    names = next(rows, None) or []
    whole = [(number, row) for number, row in enumerate(rows) if row is not None and len(row) == len(names)]
    columns = [pa.array([row[i] or None for _, row in whole], pa.string()) for i in range(len(names))]
    return _renumbered(decoder, pa.Table.from_arrays(columns, names), [number for number, _ in whole], text=True)


def csv_rows(data: bytes) -> Iterator[list[str] | None]:
    """The rows that are not blank; None for one that cannot be read."""
    csv.field_size_limit(LONGEST_CELL)
    text = io.StringIO(data.removeprefix(BOM).decode("utf-8", "surrogateescape"), newline="")
    reader = csv.reader(text, strict=True)
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error:
            yield None
            continue
        if row:
            yield row if all(map(_is_utf8, row)) else None


def _is_utf8(cell: str) -> bool:
    """Whether no byte of it had to be smuggled through as a surrogate."""
    return not any("\ud800" <= c <= "\udfff" for c in cell)


def _parquet(decoder: Decoder, data: bytes) -> Decoded:
    """The declared columns alone: what another one holds is nobody's business."""
    file = pa_parquet.ParquetFile(io.BytesIO(data))
    names = [name for name in file.schema_arrow.names if name in decoder.source.fields]
    table = file.read(columns=names)
    good = [i for i in range(table.num_rows) if all(_readable(table.column(name), i) for name in names)]
    return _renumbered(decoder, table.take(pa.array(good, pa.int64())), good)


def _readable(column: pa.ChunkedArray, row: int) -> bool:
    """Parquet does not check that a text is UTF-8."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return True
    try:
        column[row].as_py()
    except UnicodeDecodeError:
        return False
    return True


def _renumbered(decoder: Decoder, table: pa.Table, numbers: Sequence[int], *, text: bool = False) -> Decoded:
    """What the decoder makes of some rows of a file, under their numbers in the file."""
    decoded, numbered = decoder.table(table, text=text), np.array(numbers, np.int64)
    errors = [(int(numbered[row]), reason) for row, reason in decoded.errors]
    return Decoded(decoded.batch, numbered[decoded.index], errors, decoder.source.id_fields)
