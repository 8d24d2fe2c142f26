"""JSON lines: a record a line, ended by LF, CRLF or CR; blank lines are nothing. Whether a line is a record its decoder says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from twinstream.files.encoding import without_mark
from twinstream.files.parts import BLOCK_BYTES, MOST_ROW_BYTES, BadRow, Part

LINE_END = re.compile(rb"\r\n|\n|\r")


def read_json_lines(file: BinaryIO, block_bytes: int = BLOCK_BYTES) -> Iterator[Part]:
    """All rows in bounded memory. Raises UnreadableFileError for what is no UTF-8 text at all."""
    number = 0
    for lines in _lines(file, block_bytes):
        kept = [line for line in lines if line.strip()]
        numbers = np.arange(number, number + len(kept))
        number += len(kept)
        long = {i for i, line in enumerate(kept) if len(line) > MOST_ROW_BYTES}
        bad = [
            BadRow(
                int(numbers[i]),
                f"row {numbers[i] + 1}",
                kept[i][:MOST_ROW_BYTES],
                _too_long(kept[i]),
            )
            for i in sorted(long)
        ]
        good = [i for i in range(len(kept)) if i not in long]
        yield Part(
            [kept[i] for i in good] if long else kept, numbers[good] if long else numbers, bad
        )


def _too_long(line: bytes) -> str:
    return f"the row is longer than {MOST_ROW_BYTES} bytes (at least {len(line)})"


def _lines(file: BinaryIO, block_bytes: int) -> Iterator[list[bytes]]:
    """Whole lines, some at a time. A line that is too long is cut short, for it is not read anyway."""
    rest, first, overlong = b"", True, False
    while block := file.read(block_bytes):
        block = without_mark(block) if first else block
        first = False
        data = rest + block
        end = max(
            data.rfind(b"\n"), data.rfind(b"\r", 0, len(data) - 1)
        )  # a CR at the very end may be half of a CRLF
        if end < 0:
            rest, overlong = (
                (data[: MOST_ROW_BYTES + 1], True)
                if len(data) > MOST_ROW_BYTES + 1
                else (data, overlong)
            )
            continue
        whole, rest = data[: end + 1], data[end + 1 :]
        yield LINE_END.split(whole) if b"\r" in whole else whole.split(b"\n")
    if rest:
        yield LINE_END.split(rest)
