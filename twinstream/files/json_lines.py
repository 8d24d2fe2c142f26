"""JSON lines: a record a line, ended by LF, CRLF or CR; blank lines are nothing.
Whether a line is a record its decoder says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from twinstream.files.encoding import without_mark
from twinstream.files.parts import BLOCK_BYTES, MOST_ROW_BYTES, Numbers, Part, Place, bad_row

TOO_LONG = f"the row is longer than {MOST_ROW_BYTES} bytes"
LINE_END = re.compile(rb"\r\n|\n|\r")


def read_json_lines(file: BinaryIO, block_bytes: int = BLOCK_BYTES) -> Iterator[Part]:
    """All rows in bounded memory. Raises UnreadableFileError for what is not UTF-8 text at all."""
    number = 0
    for lines, first in _lines(file, block_bytes):
        kept = [i for i, line in enumerate(lines) if line.strip()]
        yield _part([lines[i] for i in kept], first + np.array(kept, np.int64), number)
        number += len(kept)


def _part(
    rows: list[bytes],
    lines: Numbers,
    number: int,
) -> Part:
    """Rows with the number of the line of each; `number`: rows before them."""
    fits = np.fromiter(map(len, rows), np.int64, len(rows)) <= MOST_ROW_BYTES
    good, long = np.flatnonzero(fits), np.flatnonzero(~fits)
    bad = [bad_row(number + i, _place(rows[i], lines[i]), TOO_LONG) for i in long.tolist()]
    if bad:
        rows, lines = [rows[i] for i in good], lines[good]
    return Part(rows, number + good, bad, lambda i: _place(rows[i], lines[i]))


def _place(row: bytes, line: int) -> Place:
    return Place(f"line {line}", row)


def _lines(file: BinaryIO, block_bytes: int) -> Iterator[tuple[list[bytes], int]]:
    """(whole lines, some at a time; which line of the file is their first).

    A line that is too long is cut short, for it is not read anyway.
    """
    rest, line = b"", 1
    for block in _blocks(file, block_bytes):
        whole, rest = _at_last_end(rest + block)
        if not whole:
            rest = rest[: MOST_ROW_BYTES + 1]
            continue
        lines = LINE_END.split(whole) if b"\r" in whole else whole.split(b"\n")
        yield lines, line
        line += len(lines) - 1  # behind the last end lies nothing
    if rest:
        yield LINE_END.split(rest), line


def _blocks(file: BinaryIO, block_bytes: int) -> Iterator[bytes]:
    """The file without its byte order mark."""
    first = True
    while block := file.read(block_bytes):
        yield without_mark(block) if first else block
        first = False


def _at_last_end(data: bytes) -> tuple[bytes, bytes]:
    """Whole lines, and the rest; a CR at the very end may be half of a CRLF."""
    end = max(data.rfind(b"\n"), data.rfind(b"\r", 0, len(data) - 1))
    return data[: end + 1], data[end + 1 :]
