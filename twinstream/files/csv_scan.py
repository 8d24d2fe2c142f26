"""Where the records of a CSV text begin and end: one pass over its bytes, by the rules of RFC 4180 and no others.

A record ends with LF, CRLF or CR outside quotes. A quote opens only at the start of a cell; inside, two stand for one.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from twinstream.algebra.compiled.jit import compiled

Bytes = npt.NDArray[np.uint8]
Words = npt.NDArray[np.int64]
QUOTE, COMMA, LF, CR = (ord(c) for c in '",\n\r')
CELL_START, BARE, QUOTED, QUOTE_SEEN = range(4)
GOOD, STRAY = 0, 1
"""Flaws: STRAY is a character between a closing quote and the end of its cell."""
START, END, CELLS, FLAW, LINE = range(5)
"""Columns of a scanned record: its bytes are [START, END), CELLS how many cells it has, LINE on
which line of the text it starts.
"""


@compiled
def scan_records(
    data: Bytes,
    at_end: bool,  # noqa: FBT001
    first_line: int,
    out: Words,
) -> tuple[int, int, int, bool]:
    """Fill `out[n, 5]` with the records of a text; return (n, bytes used, lines used, whether a
    quote stayed open).

    Without `at_end` the last record, which more text may continue, is left for the next call. Blank
    lines are not records.
    """
    n, start, line, start_line = 0, 0, first_line, first_line
    state, cells, flaw = CELL_START, 1, GOOD
    i = 0
    while i < len(data):
        byte = data[i]
        if state == QUOTED:
            if byte == QUOTE:
                state = QUOTE_SEEN
            elif byte == LF or (byte == CR and (i + 1 == len(data) or data[i + 1] != LF)):
                line += 1
        elif state == QUOTE_SEEN and byte == QUOTE:
            state = QUOTED
        elif byte in (LF, CR):
            if byte == CR and i + 1 == len(data) and not at_end:
                break  # it may be half of a CRLF
            if i > start:
                out[n, START], out[n, END], out[n, CELLS], out[n, FLAW], out[n, LINE] = (
                    start,
                    i,
                    cells,
                    flaw,
                    start_line,
                )
                n += 1
            if byte == CR and i + 1 < len(data) and data[i + 1] == LF:
                i += 1
            line += 1
            start, start_line = i + 1, line
            state, cells, flaw = CELL_START, 1, GOOD
            if n == len(out):
                return n, start, line - first_line, False
        elif byte == COMMA:
            cells += 1
            state = CELL_START
        elif state == QUOTE_SEEN:
            flaw = STRAY
            state = BARE
        elif state == CELL_START:
            state = QUOTED if byte == QUOTE else BARE
        i += 1
    if at_end and start < len(data):
        out[n, START], out[n, END], out[n, CELLS], out[n, FLAW], out[n, LINE] = (
            start,
            len(data),
            cells,
            flaw,
            start_line,
        )
        return n + 1, len(data), line - first_line, state == QUOTED
    return n, start, start_line - first_line, state == QUOTED


def warm_up() -> None:
    """Compile, or load from disk."""
    scan_records(np.zeros(1, np.uint8), True, 1, np.zeros((2, 5), np.int64))
