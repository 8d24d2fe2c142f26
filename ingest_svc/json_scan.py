"""Plain JSON records straight into columns: the fast way in, beside `twinstream.define.records`, which takes all that this is not sure of.

Sure are objects of scalar values, each field at most once, strings without escapes, numbers of at most 18 digits without an exponent and with no
more places than the field keeps, moments as whole microseconds or as `2013-10-01T12:00:00.123456Z`. Law: where this is sure, the decoder gives
the same. It leaves the anatomy because every record passes here; `benchmarks/` has its figures as those of the chain.
"""

# ruff: noqa: PLR0917, PLR1714 (compiled loops take their arrays by position, and compare fastest one by one)
from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinstream.algebra.compiled.jit import compiled
from twinstream.define.columns import Stored
from twinstream.define.records import Scan
from twinstream.define.source import Source
from twinstream.define.types import LIMIT
from twinstream.define.values import FIRST_US, LAST_US

Bytes = npt.NDArray[np.uint8]
Words = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

KINDS = ("string", "bool", "int", "decimal", "timestamp")
STRING, BOOL, INT, DECIMAL, TIMESTAMP = range(len(KINDS))
MOST_FIELDS = 62  # bits of a word that say which were seen
MOST_DIGITS = 18
UNSURE = -1
OUTSIDE = -(1 << 63) + 1  # not the value of any field
QUOTE, BACKSLASH, COMMA, COLON, MINUS, POINT, OPEN, CLOSE, ZERO, NINE = (ord(c) for c in '"\\,:-.{}09')
PLAIN = np.array([byte >= 0x20 and chr(byte) not in '"\\' for byte in range(256)])  # may stand in a text as they are


def scan_of(source: Source) -> Scan | None:
    """How records of a source are scanned: (stored columns, bool[n]: of which rows it is sure); None when it has too many fields."""
    names = [name.encode() for name in source.fields]
    if len(names) > MOST_FIELDS:
        return None
    ends = np.cumsum([0, *map(len, names)])
    text = np.frombuffer(bytearray(b"".join(names)), np.uint8)
    kinds = np.array([[KINDS.index(kind.kind), kind.places] for kind in source.fields.values()], np.int64)
    types = [kind.arrow for kind in source.fields.values()]

    def scan(values: Sequence[bytes]) -> tuple[list[Stored], Mask]:
        n = len(values)
        joined = bytearray(b"\0").join([*values, b""])  # after each record a byte that stands nowhere in one
        starts = np.zeros(n + 1, np.int64)
        np.cumsum(np.fromiter(map(len, values), np.int64, n) + 1, out=starts[1:])
        data, sure = np.frombuffer(joined, np.uint8), np.zeros(n, bool)
        cells, valid = np.empty((len(names), n, 2), np.int64), np.zeros((len(names), n), bool)
        if joined.isascii() or _is_utf8(joined):
            scan_records(data, starts, text, ends, kinds, cells, valid, sure)
        return [Stored(_column(kind, int(code), data, cells[f], valid[f]), np.zeros(n, bool))
                for f, (kind, (code, _)) in enumerate(zip(types, kinds, strict=True))], sure

    return scan


def warm_up() -> None:
    """Compile, or load from disk, everything that is called, so that no first record waits."""
    empty, cells = np.zeros(1, np.uint8), np.zeros((1, 1, 2), np.int64)
    scan_records(empty, np.zeros(2, np.int64), empty, np.zeros(2, np.int64), np.zeros((1, 2), np.int64), cells, np.zeros((1, 1), bool), np.zeros(1, bool))
    gather_text(empty, cells[0], np.zeros(1, bool))


def _is_utf8(data: bytearray) -> bool:
    """Whether all of it is; then so is what stands between two bytes of ASCII."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _column(kind: pa.DataType, code: int, data: Bytes, cells: Words, valid: Mask) -> pa.Array:
    mask = None if valid.all() else ~valid
    if code == STRING:
        text, offsets = gather_text(data, cells, valid)
        bits = None if mask is None else pa.py_buffer(np.packbits(valid, bitorder="little"))
        return pa.Array.from_buffers(pa.string(), len(valid), [bits, pa.py_buffer(offsets), pa.py_buffer(text)])
    values = cells[:, 0]
    return pa.array(values.astype(bool) if code == BOOL else np.ascontiguousarray(values), kind, mask=mask)


@compiled
def gather_text(data: Bytes, cells: Words, valid: Mask) -> tuple[Bytes, npt.NDArray[np.int32]]:
    """(bytes, offsets) of the texts `data[cells[i, 0]:cells[i, 1]]`; of those that are not valid, nothing."""
    offsets = np.zeros(len(valid) + 1, np.int32)
    for i in range(len(valid)):
        offsets[i + 1] = offsets[i] + (cells[i, 1] - cells[i, 0] if valid[i] else 0)
    out = np.empty(offsets[-1], np.uint8)
    for i in range(len(valid)):
        for j in range(offsets[i + 1] - offsets[i]):
            out[offsets[i] + j] = data[cells[i, 0] + j]
    return out, offsets


@compiled
def scan_records(data: Bytes, starts: Words, names: Bytes, ends: Words, kinds: Words, cells: Words, valid: Mask, sure: Mask) -> None:
    """Record i is `data[starts[i]:starts[i + 1] - 1]`. Of field f `cells[f, i]` is where its text stands, or begins with its value."""
    for i in range(len(sure)):
        sure[i] = scan_record(data, starts[i], starts[i + 1] - 1, names, ends, kinds, cells, valid, i)
        if not sure[i]:
            valid[:, i] = False


@compiled
def scan_record(data: Bytes, at: int, stop: int, names: Bytes, ends: Words, kinds: Words, cells: Words, valid: Mask, i: int) -> bool:
    """Scan one record into row i; whether it is sure of it."""
    at = past_blanks(data, at)
    if data[at] != OPEN:
        return False
    at = past_blanks(data, at + 1)
    if data[at] == CLOSE:
        return past_blanks(data, at + 1) == stop
    seen, likely = 0, 0
    while data[at] == QUOTE:
        key = at + 1
        at = text_end(data, key)
        if at == UNSURE:
            return False
        f = field_named(data, key, at, names, ends, likely)
        if f != UNSURE:
            if seen >> f & 1:
                return False
            seen |= 1 << f
            likely = f + 1
        at = past_blanks(data, at + 1)
        if data[at] != COLON:
            return False
        at = past_blanks(data, at + 1)
        at = scan_value(data, at, f, kinds, cells, valid, i)
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
def past_blanks(data: Bytes, at: int) -> int:
    """The first place from `at` on that is no white space."""
    while data[at] <= 32 and (data[at] == 32 or 9 <= data[at] <= 10 or data[at] == 13):
        at += 1
    return at


@compiled
def text_end(data: Bytes, at: int) -> int:
    """Where the quote stands that ends the text which begins at `at`; UNSURE when an escape, a control character or the record's end comes first."""
    while PLAIN[data[at]]:
        at += 1
    return at if data[at] == QUOTE else UNSURE


@compiled
def field_named(data: Bytes, start: int, stop: int, names: Bytes, ends: Words, likely: int) -> int:
    """The field of this name, the likely one asked first; UNSURE when it is none."""
    n = len(ends) - 1
    if likely < n and is_named(data, start, stop, names, ends, likely):
        return likely
    for f in range(n):
        if is_named(data, start, stop, names, ends, f):
            return f
    return UNSURE


@compiled
def is_named(data: Bytes, start: int, stop: int, names: Bytes, ends: Words, f: int) -> bool:
    """Whether this is the name of field f."""
    if ends[f + 1] - ends[f] != stop - start:
        return False
    for j in range(stop - start):  # noqa: SIM110  (all() over a generator is no loop that compiles)
        if names[ends[f] + j] != data[start + j]:
            return False
    return True


@compiled
def scan_value(data: Bytes, at: int, f: int, kinds: Words, cells: Words, valid: Mask, i: int) -> int:
    """Scan the value of field f (of no field: UNSURE), a scalar, into row i; the place after it, or UNSURE."""
    first = data[at]
    kind = kinds[f, 0] if f != UNSURE else UNSURE
    if first == QUOTE:
        end = text_end(data, at + 1)
        if end == UNSURE or kind == UNSURE:
            return UNSURE if end == UNSURE else end + 1
        if kind == STRING:
            cells[f, i, 0], cells[f, i, 1], valid[f, i] = at + 1, end, True
            return end + 1
        if kind != TIMESTAMP:
            return UNSURE
        cells[f, i, 0], valid[f, i] = moment(data, at + 1, end), True
        return end + 1 if cells[f, i, 0] != OUTSIDE else UNSURE
    if first == MINUS or ZERO <= first <= NINE:
        value, places, end = number(data, at)
        if end == UNSURE or kind == UNSURE:
            return end
        value = fitted(value, places, kind, kinds[f, 1])
        cells[f, i, 0], valid[f, i] = value, True
        return end if value != OUTSIDE else UNSURE
    return scan_literal(data, at, f, kind, cells, valid, i)


@compiled
def scan_literal(data: Bytes, at: int, f: int, kind: int, cells: Words, valid: Mask, i: int) -> int:
    """Scan true, false or null; the place after it, or UNSURE."""
    if data[at] == 110 and data[at + 1] == 117 and data[at + 2] == 108 and data[at + 3] == 108:  # null
        return at + 4
    if kind not in {BOOL, UNSURE}:
        return UNSURE
    if data[at] == 116 and data[at + 1] == 114 and data[at + 2] == 117 and data[at + 3] == 101:  # true
        if kind == BOOL:
            cells[f, i, 0], valid[f, i] = 1, True
        return at + 4
    if data[at] == 102 and data[at + 1] == 97 and data[at + 2] == 108 and data[at + 3] == 115 and data[at + 4] == 101:  # false
        if kind == BOOL:
            cells[f, i, 0], valid[f, i] = 0, True
        return at + 5
    return UNSURE


@compiled
def number(data: Bytes, at: int) -> tuple[int, int, int]:
    """(its digits as a number, how many of them stand after the point, the place after it or UNSURE)."""
    negative = data[at] == MINUS
    if negative:
        at += 1
    start, value, places = at, 0, 0
    while ZERO <= data[at] <= NINE:
        value = value * 10 + (data[at] - ZERO)
        at += 1
    digits = at - start
    if digits == 0 or digits > MOST_DIGITS or (digits > 1 and data[start] == ZERO):
        return 0, 0, UNSURE
    if data[at] == POINT:
        at += 1
        start = at
        while ZERO <= data[at] <= NINE:
            value = value * 10 + (data[at] - ZERO)
            at += 1
        places = at - start
        if places == 0 or digits + places > MOST_DIGITS:
            return 0, 0, UNSURE
    if data[at] == 101 or data[at] == 69:  # an exponent
        return 0, 0, UNSURE
    return (-value if negative else value), places, at


@compiled
def fitted(value: int, places: int, kind: int, kept: int) -> int:
    """A number of so many places as the stored value of a field that keeps `kept`; OUTSIDE when it is not sure."""
    if kind == DECIMAL and places <= kept:
        for _ in range(kept - places):
            if abs(value) > LIMIT // 10:
                return OUTSIDE
            value *= 10
        return value
    if kind == INT and places == 0:
        return value
    if kind == TIMESTAMP and places == 0 and FIRST_US <= value <= LAST_US:
        return value
    return OUTSIDE


@compiled
def digits_at(data: Bytes, at: int, n: int) -> int:
    """The number that n digits write; far below zero when one is none."""
    value = 0
    for i in range(n):
        value = value * 10 + (data[at + i] - ZERO) if ZERO <= data[at + i] <= NINE else OUTSIDE // 2
    return value


@compiled
def days_of(year: int, month: int, day: int) -> int:
    """Days from 1970-01-01 to a date (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms": days_from_civil)."""
    if month <= 2:
        year -= 1
    era = year // 400
    of_era = year - era * 400
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468


@compiled
def moment(data: Bytes, at: int, stop: int) -> int:
    """Microseconds of `2013-10-01T12:00:00.123456Z`, of which the fraction may be shorter or missing; OUTSIDE when it is not sure."""
    if stop - at < 20 or stop - at == 21 or stop - at > 27 or data[stop - 1] != 90:
        return OUTSIDE
    if data[at + 4] != MINUS or data[at + 7] != MINUS or data[at + 10] != 84 or data[at + 13] != COLON or data[at + 16] != COLON:
        return OUTSIDE
    year, month, day = digits_at(data, at, 4), digits_at(data, at + 5, 2), digits_at(data, at + 8, 2)
    hour, minute, second = digits_at(data, at + 11, 2), digits_at(data, at + 14, 2), digits_at(data, at + 17, 2)
    if not (1900 <= year <= 2200 and 1 <= month <= 12 and 1 <= day <= 28 + (month != 2) * 2 + (month in {1, 3, 5, 7, 8, 10, 12})):
        return OUTSIDE
    if not (0 <= hour <= 23 and 0 <= minute <= 59 and 0 <= second <= 59):
        return OUTSIDE
    fraction = 0
    if stop - at > 20:
        if data[at + 19] != POINT:
            return OUTSIDE
        written = stop - at - 21
        fraction = digits_at(data, at + 20, written)
        if fraction < 0:
            return OUTSIDE
        for _ in range(6 - written):
            fraction *= 10
    return ((days_of(year, month, day) * 24 + hour) * 60 + minute) * 60_000_000 + second * 1_000_000 + fraction
