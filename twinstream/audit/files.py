"""The audit's own reader of files: the rules of `docs/definition.md` written a second time,
row by row, in Python alone.
"""

# It shares with the mesh what a field means (`Decoder`); which rows a file has, and which of their
# cells are null, it finds by itself. A row's number is its place among the rows that are not blank,
# good or not.

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pa_parquet

from twinstream.define.records import Decoded, Decoder

BOM = b"\xef\xbb\xbf"
_CELL = re.compile(
    r"""(?:"([^"]*+(?:""[^"]*+)*+)"([^,\r\n]*)|(")|([^,\r\n]*))(,|\r\n|\r|\n|\Z|(?<="))"""
)
"""A cell and what ends it: in quotes, with what strays behind them;
or with a quote that is never closed; or plain.
"""


def decode_file(
    decoder: Decoder,
    data: bytes,
    form: str,
) -> Decoded:
    """All rows of a file that count; `index` of the result says which row each was."""
    if form == "parquet":
        return _parquet(decoder, data)
    if form == "csv":
        return _csv(decoder, data)
    lines = [line for line in data.removeprefix(BOM).splitlines() if line.strip()]
    return decoder.json(lines)


def _csv(decoder: Decoder, data: bytes) -> Decoded:
    """A ragged row, one that is not UTF-8, and what follows an unclosed quote do not count;
    only an empty cell is null.
    """
    rows = csv_rows(data)
    names = next(rows, None) or []
    whole = {i: row for i, row in enumerate(rows) if row is not None and len(row) == len(names)}
    columns = [
        pa.array([row[i] or None for row in whole.values()], pa.string()) for i in range(len(names))
    ]
    return _renumbered(decoder, pa.Table.from_arrays(columns, names), list(whole), text=True)


def csv_rows(data: bytes) -> Iterator[list[str] | None]:
    """The rows that are not blank; None for one that cannot be read."""
    text = data.removeprefix(BOM).decode("utf-8", "surrogateescape")
    row, good, start = list[str](), True, 0
    for cell in _CELL.finditer(text):
        quoted, after, unclosed, plain, end = cell.groups()
        if unclosed is not None:
            yield None  # all that follows is this one row
            return
        row.append(plain if quoted is None else quoted.replace('""', '"'))
        good &= not after and _is_utf8(row[-1])
        if end == ",":
            continue
        if cell.start(5) > start:
            yield row if good else None
        row, good, start = [], True, cell.end()
        if start == len(text):
            return


def _is_utf8(cell: str) -> bool:
    """Whether no byte of it had to be smuggled through as a surrogate."""
    return not any("\ud800" <= c <= "\udfff" for c in cell)


def _parquet(decoder: Decoder, data: bytes) -> Decoded:
    """The declared columns alone: what another one holds is nobody's business."""
    file = pa_parquet.ParquetFile(io.BytesIO(data))
    names = [name for name in file.schema_arrow.names if name in decoder.source.fields]
    table = file.read(columns=names)
    good = [
        i for i in range(table.num_rows) if all(_readable(table.column(name), i) for name in names)
    ]
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


def _renumbered(
    decoder: Decoder,
    table: pa.Table,
    numbers: Sequence[int],
    *,
    text: bool = False,
) -> Decoded:
    """What the decoder makes of some rows of a file, under their numbers in the file."""
    decoded = decoder.table(table, text=text)
    numbered = np.array(numbers, np.int64)
    reasons = [(int(numbered[row]), reason) for row, reason in decoded.reasons]
    return Decoded(decoded.batch, numbered[decoded.index], reasons, decoder.source.id_fields)
