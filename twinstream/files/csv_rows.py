"""CSV: UTF-8 with a header, commas, RFC 4180 quotes. Only the empty cell is null;
a row that cannot be read costs no other row.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pa_csv

from twinstream.files.csv_scan import CELLS, END, FLAW, LINE, START, STRAY, scan_records
from twinstream.files.encoding import is_utf8, without_mark
from twinstream.files.parts import (
    BLOCK_BYTES,
    KEPT_BYTES,
    MOST_ROW_BYTES,
    Part,
    Place,
    UnreadableFileError,
    bad_row,
)

RECORDS_AT_ONCE = 1 << 16
SKIPPED = b"-\n"
Words = npt.NDArray[np.int64]


Bools = npt.NDArray[np.bool_]


def read_csv(
    file: BinaryIO,
    wanted: Sequence[str] = (),
    block_bytes: int = BLOCK_BYTES,
) -> Iterator[Part]:
    """All rows in bounded memory, as text, of the columns named in `wanted` (all when empty).

    Row 0 is the one behind the header. Raises UnreadableFileError for a file without a header that
    can be read.
    """
    names: list[str] = []
    number = 0
    for data, found, last_open in _records(file, block_bytes):
        if not names:
            names = header_names(data[found[0, START] : found[0, END]])
            found = found[1:]  # noqa: PLW2901  (the header is not a row)
        yield _part(data, found, number, names, wanted, last_open=last_open)
        number += len(found)


def header_of(file: BinaryIO) -> list[str]:
    """Names of the columns of a file, of which the first part is enough;
    [] for one without a line.
    """
    for data, records, _ in _records(file, BLOCK_BYTES):
        return header_names(data[records[0, START] : records[0, END]])
    return []


def header_names(line: bytes) -> list[str]:
    """Names of the columns; raises UnreadableFileError for a header that is none."""
    try:
        text = line.decode("utf-8")
        names = next(csv.reader([text], strict=True), [])
    except (UnicodeDecodeError, csv.Error) as error:
        raise UnreadableFileError(f"its header cannot be read: {error}") from error
    if any("\n" in name or "\r" in name for name in names):
        raise UnreadableFileError("the name of a column holds a line break")
    if len(names) == 1 and len(names[0].split(";")) > 1:
        raise UnreadableFileError("its cells are separated by ';': write commas")
    return names


def _records(file: BinaryIO, block_bytes: int) -> Iterator[tuple[bytes, Words, bool]]:
    """(text, its scanned records, whether the last one has an open quote), some at a time."""
    out = np.zeros((RECORDS_AT_ONCE, 5), np.int64)
    rest, line, first = b"", 1, True
    while True:
        block = file.read(block_bytes)
        data = rest + (without_mark(block) if first else block)
        first = False
        used = 0
        while True:
            view = np.frombuffer(data, np.uint8)[used:]
            n, taken, lines, is_open = scan_records(view, not block, line, out)
            line += lines
            if n:
                records = out[:n].copy()
                records[:, [START, END]] += used
                yield data, records, is_open and not block
            used += taken
            if n < len(out):
                break
        rest = data[used:]
        if not block:
            return
        if len(rest) > MOST_ROW_BYTES + block_bytes:
            yield rest, np.array([[0, len(rest), 1, STRAY, line]]), is_open
            if is_open:
                return
            rest, line = _behind_this_line(file, block_bytes), line + 1


def _behind_this_line(file: BinaryIO, block_bytes: int) -> bytes:
    """What was read of the file behind the end of the line in which it lies;
    nothing of that line is kept.
    """
    while block := file.read(block_bytes):
        end = min(at for at in (block.find(b"\n"), block.find(b"\r"), len(block)) if at >= 0)
        if end < len(block):
            return block[end + 2 if block[end : end + 2] == b"\r\n" else end + 1 :]
    return b""


def _part(
    data: bytes,
    records: Words,
    number: int,
    names: list[str],
    wanted: Sequence[str],
    *,
    last_open: bool,
) -> Part:
    flawed = _flawed(data, records, len(names), last_open=last_open)
    bad = [
        bad_row(
            number + i,
            _place(data, records[i]),
            _reason(records[i], len(names), is_open=last_open and i == len(records) - 1),
        )
        for i in np.flatnonzero(flawed).tolist()
    ]
    good = np.flatnonzero(~flawed)
    found = records[good]
    table = _table(data, found, names, wanted)
    return Part(table, number + good, bad, lambda i: _place(data, found[i]))


def _flawed(
    data: bytes,
    records: Words,
    columns: int,
    *,
    last_open: bool,
) -> Bools:
    """Which records cannot be read."""
    flawed: Bools = (
        (records[:, CELLS] != columns)
        | (records[:, FLAW] == STRAY)
        | (records[:, END] - records[:, START] > MOST_ROW_BYTES)
    )
    if last_open and len(records):
        flawed[-1] = True
    return flawed | _not_utf8(data, records, flawed)


def _not_utf8(
    data: bytes,
    records: Words,
    flawed: Bools,
) -> Bools:
    """Which records hold a byte that is not UTF-8; nearly always one look at all of them is
    enough.
    """
    found = np.zeros(len(records), bool)
    view = memoryview(data)
    if not len(records) or is_utf8(view[records[0, START] : records[-1, END]]):
        return found
    for i in np.flatnonzero(~flawed).tolist():
        start, end = records[i, START], records[i, END]
        found[i] = not is_utf8(view[start:end])
    return found


def _place(data: bytes, record: Words) -> Place:
    """Where a record lies; of a long one a byte more than is kept will do."""
    start, end = int(record[START]), int(record[END])
    return Place(f"line {record[LINE]}", data[start : min(end, start + KEPT_BYTES + 1)])


def _reason(
    record: Words,
    columns: int,
    *,
    is_open: bool,
) -> str:
    """Why a record cannot be read."""
    if is_open:
        return "a quote is opened and never closed; all from there on is this one row"
    if record[END] - record[START] > MOST_ROW_BYTES:
        return f"the row is longer than {MOST_ROW_BYTES} bytes"
    if record[FLAW] == STRAY:
        return 'a character follows a closing quote: write "" for a quote inside a cell'
    if record[CELLS] != columns:
        return f"{record[CELLS]} cells, the header has {columns}"
    return "it is not UTF-8"


def _table(
    data: bytes,
    records: Words,
    names: list[str],
    wanted: Sequence[str],
) -> pa.Table:
    """The cells of records that are known to be good."""
    taken = [i for i, name in enumerate(names) if not wanted or name in wanted]
    if not taken:
        return _empty(len(records))
    if not len(records):
        return pa.table({names[i]: pa.nulls(0, pa.string()) for i in taken})
    found = _parsed(_joined(data, records), len(names), taken)
    if found.num_rows != len(records):
        raise UnreadableFileError(
            f"the CSV library finds {found.num_rows} rows where there are {len(records)}: "
            "please report this file"
        )
    schema = pa.schema([pa.field(names[i], pa.string()) for i in taken])
    return pa.Table.from_arrays(found.columns, schema=schema)


def _parsed(
    text: pa.Buffer,
    columns: int,
    taken: list[int],
) -> pa.Table:
    """Some columns of a text, its first line skipped, under names of their numbers."""
    inner = [f"c{i}" for i in range(columns)]
    return pa_csv.read_csv(
        pa.BufferReader(text),
        read_options=pa_csv.ReadOptions(
            column_names=inner, skip_rows=1, block_size=len(text) + 1, use_threads=False
        ),
        parse_options=pa_csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
        convert_options=_as_text(inner, [inner[i] for i in taken]),
    )


def _as_text(columns: list[str], taken: list[str]) -> pa_csv.ConvertOptions:
    """Every cell as it is written, null where it is empty."""
    return pa_csv.ConvertOptions(
        column_types=dict.fromkeys(columns, pa.string()),
        include_columns=taken,
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=True,
        check_utf8=False,
    )


def _joined(data: bytes, records: Words) -> pa.Buffer:
    """A line to skip, then the text of some records, each ended by LF;
    where nothing lies between them, without copying one by one.

    Arrow takes a byte order mark off the first line, and one in the first cell of a row that begins
    a part belongs to the cell.
    """
    starts, ends = records[:, START], records[:, END]
    first, last = int(starts[0]), int(ends[-1])
    between = int((starts[1:] - ends[:-1]).sum())
    if between == len(records) - 1 and b"\r" not in data[first:last]:
        return pa.py_buffer(b"".join((SKIPPED, memoryview(data)[first:last], b"\n")))
    spans = map(slice, starts.tolist(), ends.tolist())
    return pa.py_buffer(SKIPPED + b"\n".join(map(data.__getitem__, spans)) + b"\n")


def _empty(rows: int) -> pa.Table:
    """So many rows of no column."""
    return pa.table({"": pa.nulls(rows)})
