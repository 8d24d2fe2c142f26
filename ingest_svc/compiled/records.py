"""Plain JSON records into columns: each field's cell is where its text lies, or its value."""

# Layout, of n records with m fields:
#
#     data    {"a":1,"b":"x"}0{"a":2}0       each record is followed by a zero byte
#     starts  ^0             ^15     ^23     [n + 1]: where each record begins
#     names   a"b"                           each field's name and the quote after it
#     ends    0 2 4                          [m + 1]: where each name begins
#     kinds   [m, CODE and PLACES]           what a type declares as its `scan_code`, and its places
#     cells   [m, n, START and STOP]         a value, or where its text lies in `data`
#     valid   [m, n]                         whether a field is there, and not null
#
# Rule: a row is either what `Decoder` makes of the record, or not sure. Of a record that is not
# sure nothing is valid. Its oracle is `tests/unit/ingest/test_json_scan.py`.

# ruff: noqa: PLR0917, PLR1714 (compiled loops take their arrays by position, and compare fastest one by one)
from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ingest_svc.compiled.tokens import (
    BOOL,
    CLOSE,
    COLON,
    COMMA,
    MINUS,
    NINE,
    OPEN,
    OUTSIDE,
    QUOTE,
    STRING,
    TIMESTAMP,
    UNSURE,
    ZERO,
    fitted,
    moment,
    number,
    past_blanks,
    text_end,
)
from twinstream.algebra.compiled.intrinsics import lent
from twinstream.algebra.compiled.jit import compiled

Bytes = npt.NDArray[np.uint8]
Words = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
CODE, PLACES = 0, 1  # columns of `kinds`
START, STOP = 0, 1  # of a cell of text; of any other the first is its value
VALUE = START
NULL, TRUE, FALSE = (np.frombuffer(word, np.uint8) for word in (b"null", b"true", b"false"))


class JsonTexts(NamedTuple):
    """Record i is `data[starts[i]:starts[i + 1] - 1]`."""

    data: Bytes
    starts: Words


class ScannedFields(NamedTuple):
    """The fields of a source, as above."""

    names: Bytes
    ends: Words
    kinds: Words


class ScannedColumns(NamedTuple):
    """What is found: of field f `cells[f, i]` is where its text lies, or begins with its value;
    `sure` [n]: whether of the record.
    """

    cells: Words
    valid: Mask
    sure: Mask


@compiled
def scan_records(texts: JsonTexts, fields: ScannedFields, found: ScannedColumns) -> None:
    """Scan every record into its row."""
    scan_all(texts, fields, found)


@compiled
def scan_all(texts: JsonTexts, fields: ScannedFields, found: ScannedColumns) -> None:
    """`scan_records`, of arrays that are owned elsewhere."""
    records = JsonTexts(lent(texts.data), lent(texts.starts))
    known = ScannedFields(lent(fields.names), lent(fields.ends), lent(fields.kinds))
    into = ScannedColumns(lent(found.cells), lent(found.valid), lent(found.sure))
    for i in range(len(into.sure)):
        into.sure[i] = scan_record(records, known, into, i)
        if not into.sure[i]:
            into.valid[:, i] = False


@compiled
def scan_record(texts: JsonTexts, fields: ScannedFields, found: ScannedColumns, i: int) -> bool:
    """Scan one record into row i; whether it is sure of it."""
    data, at, stop = texts.data, texts.starts[i], texts.starts[i + 1] - 1
    names, ends = fields.names, fields.ends
    at = past_blanks(data, at)
    if data[at] != OPEN:
        return False
    at = past_blanks(data, at + 1)
    if data[at] == CLOSE:
        return past_blanks(data, at + 1) == stop
    seen, likely = 0, 0
    while data[at] == QUOTE:
        key = at + 1
        f = (
            likely
            if likely < len(ends) - 1
            and begins_with(data, key, names, ends[likely], ends[likely + 1])
            else UNSURE
        )
        if f != UNSURE:
            at = key + ends[f + 1] - ends[f] - 1
        else:
            at = text_end(data, key)
            if at == UNSURE:
                return False
            f = field_named(data, key, at, names, ends)
        if f != UNSURE:
            if seen >> f & 1:
                return False
            seen |= 1 << f
            likely = f + 1
        at = past_blanks(data, at + 1)
        if data[at] != COLON:
            return False
        at = past_blanks(data, at + 1)
        at = scan_value(data, at, f, fields.kinds, found, i)
        if at == UNSURE:
            return False
        at = past_blanks(data, at)
        if data[at] == CLOSE:
            return past_blanks(data, at + 1) == stop
        if data[at] != COMMA:
            return False
        at = past_blanks(data, at + 1)
    return False


@compiled
def field_named(data: Bytes, start: int, stop: int, names: Bytes, ends: Words) -> int:
    """The field whose name is `data[start:stop]`, before a quote; UNSURE when it is none."""
    for f in range(len(ends) - 1):
        if ends[f + 1] - ends[f] - 1 == stop - start and begins_with(
            data, start, names, ends[f], ends[f + 1]
        ):
            return f
    return UNSURE


@compiled
def begins_with(data: Bytes, at: int, names: Bytes, start: int, stop: int) -> bool:
    """Whether `names[start:stop]`, a name and the quote after it, is at `at`."""
    for j in range(stop - start):  # noqa: SIM110  (all() over a generator is not a loop that compiles)
        if names[start + j] != data[at + j]:
            return False
    return True


@compiled
def scan_value(data: Bytes, at: int, f: int, kinds: Words, found: ScannedColumns, i: int) -> int:
    """Scan the value of field f (of no field: UNSURE), a scalar, into row i; the place after it, or
    UNSURE.
    """
    first, cells, valid = data[at], found.cells, found.valid
    kind = kinds[f, CODE] if f != UNSURE else UNSURE
    if first == QUOTE:
        end = text_end(data, at + 1)
        if end == UNSURE or kind == UNSURE:
            return UNSURE if end == UNSURE else end + 1
        if kind == STRING:
            cells[f, i, START], cells[f, i, STOP], valid[f, i] = at + 1, end, True
            return end + 1
        if kind != TIMESTAMP:
            return UNSURE
        cells[f, i, VALUE], valid[f, i] = moment(data, at + 1, end), True
        return end + 1 if cells[f, i, VALUE] != OUTSIDE else UNSURE
    if first == MINUS or ZERO <= first <= NINE:
        value, places, end = number(data, at)
        if end == UNSURE or kind == UNSURE:
            return end
        value = fitted(value, places, kind, kinds[f, PLACES])
        cells[f, i, VALUE], valid[f, i] = value, True
        return end if value != OUTSIDE else UNSURE
    return scan_literal(data, at, f, kind, found, i)


@compiled
def scan_literal(data: Bytes, at: int, f: int, kind: int, found: ScannedColumns, i: int) -> int:
    """Scan true, false or null; the place after it, or UNSURE."""
    if begins_with(data, at, NULL, 0, len(NULL)):
        return at + len(NULL)
    if kind not in {BOOL, UNSURE}:
        return UNSURE
    true = begins_with(data, at, TRUE, 0, len(TRUE))
    if not true and not begins_with(data, at, FALSE, 0, len(FALSE)):
        return UNSURE
    if kind == BOOL:
        found.cells[f, i, VALUE], found.valid[f, i] = true, True
    return at + (len(TRUE) if true else len(FALSE))


@compiled
def gather_text(data: Bytes, cells: Words, valid: Mask) -> tuple[Bytes, npt.NDArray[np.int32]]:
    """(bytes, offsets) of the texts `data[cells[i, START]:cells[i, STOP]]`; of those that are not
    valid, nothing.
    """
    offsets = np.zeros(len(valid) + 1, np.int32)
    for i in range(len(valid)):
        offsets[i + 1] = offsets[i] + (cells[i, STOP] - cells[i, START] if valid[i] else 0)
    out = np.empty(offsets[-1], np.uint8)
    for i in range(len(valid)):
        for j in range(offsets[i + 1] - offsets[i]):
            out[offsets[i] + j] = data[cells[i, START] + j]
    return out, offsets
