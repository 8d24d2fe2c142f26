"""Single tokens of plain JSON. Each record is followed by a zero byte, which is in no token: no
loop leaves its record.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from twinstream.algebra.compiled.dates import days_in, days_of
from twinstream.algebra.compiled.jit import compiled
from twinstream.define.fields import Bool, Decimal, Int, String, Timestamp
from twinstream.define.limits import FIRST_US, LAST_US, LIMIT

Bytes = npt.NDArray[np.uint8]
STRING, BOOL, INT, DECIMAL, TIMESTAMP = (
    kind.scan_code for kind in (String, Bool, Int, Decimal, Timestamp)
)
MOST_DIGITS = 18
UNSURE = -1
OUTSIDE = -(1 << 63) + 1  # not the value of any field
QUOTE, BACKSLASH, COMMA, COLON, MINUS, POINT, OPEN, CLOSE, ZERO, NINE = (
    ord(c) for c in '"\\,:-.{}09'
)
SPACE, TAB, LINE, RETURN = (ord(c) for c in " \t\n\r")
BIG_T, BIG_Z, BIG_E, SMALL_E = (ord(c) for c in "TZEe")
SHORTEST_MOMENT, LONGEST_MOMENT = len("2013-10-01T12:00:00Z"), len("2013-10-01T12:00:00.123456Z")
AT_POINT = len("2013-10-01T12:00:00")
MICROSECOND_DIGITS = 6
PLAIN = np.array(
    [byte >= 0x20 and chr(byte) not in '"\\' for byte in range(256)]
)  # may be in a text as they are


@compiled
def past_blanks(data: Bytes, at: int) -> int:
    """The first place from `at` on that is not white space."""
    while data[at] <= SPACE and (
        data[at] == SPACE or TAB <= data[at] <= LINE or data[at] == RETURN
    ):
        at += 1
    return at


@compiled
def text_end(data: Bytes, at: int) -> int:
    """Where the quote is that ends the text which begins at `at`; UNSURE when an escape, a
    control character or the record's end comes first.
    """
    while PLAIN[data[at]]:
        at += 1
    return at if data[at] == QUOTE else UNSURE


@compiled
def number(data: Bytes, at: int) -> tuple[int, int, int]:
    """(its digits as a number, how many of them are after the point, the place after it or
    UNSURE).
    """
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
    if data[at] == SMALL_E or data[at] == BIG_E:  # an exponent
        return 0, 0, UNSURE
    return (-value if negative else value), places, at


@compiled
def fitted(value: int, places: int, kind: int, kept: int) -> int:
    """A number of so many places as the stored value of a field that keeps `kept`; OUTSIDE when it
    is not sure.
    """
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
    """The number that n digits write; OUTSIDE when one is none."""
    value = 0
    for i in range(n):
        if not ZERO <= data[at + i] <= NINE:
            return OUTSIDE
        value = value * 10 + (data[at + i] - ZERO)
    return value


@compiled
def moment(data: Bytes, at: int, stop: int) -> int:
    """Microseconds of `2013-10-01T12:00:00.123456Z`, of which the fraction may be shorter or
    missing; OUTSIDE when it is not sure.
    """
    size = stop - at
    if size < SHORTEST_MOMENT or size == SHORTEST_MOMENT + 1 or size > LONGEST_MOMENT:
        return OUTSIDE
    if data[stop - 1] != BIG_Z:
        return OUTSIDE
    if (
        data[at + 4] != MINUS
        or data[at + 7] != MINUS
        or data[at + 10] != BIG_T
        or data[at + 13] != COLON
        or data[at + 16] != COLON
    ):
        return OUTSIDE
    year, month, day = (
        digits_at(data, at, 4),
        digits_at(data, at + 5, 2),
        digits_at(data, at + 8, 2),
    )
    hour, minute, second = (
        digits_at(data, at + 11, 2),
        digits_at(data, at + 14, 2),
        digits_at(data, at + 17, 2),
    )
    if not (1900 <= year <= 2200 and 1 <= month <= 12 and 1 <= day <= days_in(year, month)):
        return OUTSIDE
    if not (0 <= hour <= 23 and 0 <= minute <= 59 and 0 <= second <= 59):
        return OUTSIDE
    fraction = 0
    if size > SHORTEST_MOMENT:
        if data[at + AT_POINT] != POINT:
            return OUTSIDE
        written = size - SHORTEST_MOMENT - 1
        fraction = digits_at(data, at + AT_POINT + 1, written)
        if fraction < 0:
            return OUTSIDE
        for _ in range(MICROSECOND_DIGITS - written):
            fraction *= 10
    return (
        ((days_of(year, month, day) * 24 + hour) * 60 + minute) * 60_000_000
        + second * 1_000_000
        + fraction
    )
