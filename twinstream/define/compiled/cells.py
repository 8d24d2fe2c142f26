"""Numbers and moments of a text column, exactly: what these loops are not sure of they leave to
`values.stored`.

Layout: cell i is the bytes [bounds[i], bounds[i + 1]) of `data`, as in an Arrow array of text.
Law: where they are sure, `values.stored` gives the same.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from twinstream.algebra.compiled.dates import days_in, days_of
from twinstream.algebra.compiled.jit import compiled
from twinstream.define.limits import FIRST_US, LAST_US, LIMIT, UNSURE

Bytes = npt.NDArray[np.uint8]
Bounds = npt.NDArray[np.int32]
Words = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
# ruff: noqa: PLR1714  (a set is built at run time in compiled code)
MOST = ((1 << 63) - 10) // 10  # ten times this and a digit more still fits 64 bits
MOST_POWER = 18  # of ten that fits 64 bits
MOST_EXPONENT_DIGITS = 9
NO_DIGITS = 1_000_000
DAY_MINUTES, MINUTE_US, SECOND_US = 1440, 60_000_000, 1_000_000
PLUS, MINUS, POINT, COLON, SPACE, ZERO, NINE = (ord(c) for c in "+-.: 09")
BIG_T, SMALL_T, BIG_Z, SMALL_Z, BIG_E, SMALL_E = (ord(c) for c in "TtZzEe")


@compiled
def is_blank(byte: int) -> bool:
    """Whether CSV's rule takes it off both ends of a cell."""
    return byte == SPACE or 9 <= byte <= 13


@compiled
def trimmed(data: Bytes, at: int, stop: int) -> tuple[int, int]:
    """The cell without blanks at both ends."""
    while at < stop and is_blank(data[at]):
        at += 1
    while at < stop and is_blank(data[stop - 1]):
        stop -= 1
    return at, stop


@compiled
def shifted(value: int, power: int, whole: bool) -> int:  # noqa: FBT001
    """A number above 0 times 10**power, rounded half-even; UNSURE beyond LIMIT, and with `whole`
    when anything is cut off.
    """
    if power < -MOST_POWER:
        return UNSURE
    if power < 0:
        unit = 10**-power
        rest = value % unit
        value //= unit
        if rest and whole:
            return UNSURE
        if 2 * rest > unit or (2 * rest == unit and value % 2 == 1):
            value += 1
    for _ in range(power):
        if value > LIMIT // 10:
            return UNSURE
        value *= 10
    return value if value <= LIMIT else UNSURE


@compiled
def exponent_at(data: Bytes, at: int, stop: int) -> int:
    """The exponent that fills [at, stop), `e` and sign with it; UNSURE when it is none."""
    if data[at] != BIG_E and data[at] != SMALL_E:
        return UNSURE
    at += 1
    negative = at < stop and data[at] == MINUS
    if negative or (at < stop and data[at] == PLUS):
        at += 1
    if not 1 <= stop - at <= MOST_EXPONENT_DIGITS:
        return UNSURE
    value = digits_at(data, at, stop - at, stop)
    return -value if negative and value != UNSURE else value


@compiled
def number_at(data: Bytes, at: int, stop: int, places: int, whole: bool) -> int:  # noqa: FBT001
    """The number that fills [at, stop) times 10**places, as `shifted` rounds it; UNSURE when it is
    none.
    """
    negative = at < stop and data[at] == MINUS
    if negative or (at < stop and data[at] == PLUS):
        at += 1
    value, zeros, digits, power, point = 0, 0, 0, 0, False
    while at < stop:
        byte = data[at]
        if ZERO <= byte <= NINE:
            digits += 1
            zeros += 1
            power -= point
            if (
                byte != ZERO
            ):  # zeros wait for a digit that needs them: 1.50000000000000000000 is short
                for _ in range(zeros):
                    if value > MOST:
                        return UNSURE
                    value *= 10
                value += byte - ZERO
                zeros = 0
        elif byte == POINT and not point:
            point = True
        else:
            break
        at += 1
    if digits == 0:
        return UNSURE
    if at < stop:
        exponent = exponent_at(data, at, stop)
        if exponent == UNSURE or value == 0:
            return UNSURE
        power += exponent
    if value == 0:
        return 0
    value = shifted(value, power + zeros + places, whole)
    return -value if negative and value != UNSURE else value


@compiled
def digits_at(data: Bytes, at: int, n: int, stop: int) -> int:
    """The number that n digits write; UNSURE when one is none, or lies beyond `stop`."""
    if at + n > stop:
        return UNSURE
    value = 0
    for i in range(at, at + n):
        if not ZERO <= data[i] <= NINE:
            return UNSURE
        value = value * 10 + (data[i] - ZERO)
    return value


@compiled
def two_digits(data: Bytes, at: int) -> int:
    """The number that two digits write; more than any calendar has where one is none."""
    high, low = int(data[at]) - ZERO, int(data[at + 1]) - ZERO
    return high * 10 + low if 0 <= high <= 9 and 0 <= low <= 9 else NO_DIGITS


@compiled
def zone_minutes(data: Bytes, at: int, stop: int) -> int:
    """Minutes east of Greenwich: Z, +hh, +hhmm or +hh:mm fills [at, stop); UNSURE otherwise."""
    if at + 1 == stop and (data[at] == BIG_Z or data[at] == SMALL_Z):
        return 0
    if at + 3 > stop or (data[at] != PLUS and data[at] != MINUS):
        return UNSURE
    hours, minutes, after = digits_at(data, at + 1, 2, stop), 0, at + 3
    if after < stop:
        after += data[after] == COLON
        minutes = digits_at(data, after, 2, stop)
        after += 2
    if after != stop or not (0 <= hours <= 23 and 0 <= minutes <= 59):
        return UNSURE
    east = hours * 60 + minutes
    return -east if data[at] == MINUS else east


@compiled
def minute_at(data: Bytes, at: int, stop: int) -> int:
    """Minutes since 1970 of `2013-10-01T12:00`, without its zone; UNSURE when it is none."""
    if at + 16 > stop or data[at + 4] != MINUS or data[at + 7] != MINUS or data[at + 13] != COLON:
        return UNSURE
    if data[at + 10] != BIG_T and data[at + 10] != SMALL_T and data[at + 10] != SPACE:
        return UNSURE
    year = two_digits(data, at) * 100 + two_digits(data, at + 2)
    month, day = two_digits(data, at + 5), two_digits(data, at + 8)
    hour, minute = two_digits(data, at + 11), two_digits(data, at + 14)
    if not (1900 <= year <= 2200 and 1 <= month <= 12 and 1 <= day <= days_in(year, month)):
        return UNSURE
    if hour > 23 or minute > 59:
        return UNSURE
    return days_of(year, month, day) * DAY_MINUTES + hour * 60 + minute


@compiled
def fraction_us(data: Bytes, at: int, stop: int) -> tuple[int, int]:
    """(microseconds of the digits from `at` on, where they end); what lies beyond microseconds is
    cut off.
    """
    value, unit, start = 0, 100_000, at
    while at < stop and ZERO <= data[at] <= NINE:
        value += (data[at] - ZERO) * unit
        unit //= 10
        at += 1
    return (value, at) if at > start else (UNSURE, at)


@compiled
def moment_at(data: Bytes, at: int, stop: int) -> int:
    """Microseconds of an RFC 3339 text that fills [at, stop), seconds or not; UNSURE when it is
    none.
    """
    minute, second, fraction = minute_at(data, at, stop), 0, 0
    at += 16
    if minute == UNSURE:
        return UNSURE
    if at + 3 <= stop and data[at] == COLON:
        second = two_digits(data, at + 1)
        at += 3
        if second > 59:
            return UNSURE
        if at < stop and data[at] == POINT:
            fraction, at = fraction_us(data, at + 1, stop)
    east = zone_minutes(data, at, stop)
    if east == UNSURE or fraction == UNSURE:
        return UNSURE
    return (minute - east) * MINUTE_US + second * SECOND_US + fraction


@compiled
def scan_numbers(  # noqa: PLR0917
    data: Bytes,
    bounds: Bounds,
    csv: bool,  # noqa: FBT001
    places: int,
    whole: bool,  # noqa: FBT001
    out: Words,
) -> None:
    """Into `out[i]` the number of cell i, UNSURE where it is none; `csv`: blanks at both ends are
    nothing.
    """
    for i in range(len(out)):
        at, stop = int(bounds[i]), int(bounds[i + 1])
        if csv:
            at, stop = trimmed(data, at, stop)
        out[i] = number_at(data, at, stop, places, whole)


@compiled
def scan_moments(data: Bytes, bounds: Bounds, csv: bool, out: Words) -> None:  # noqa: FBT001
    """Into `out[i]` the moment of cell i, UNSURE where it is none; `csv`: blanks are nothing, and
    whole microseconds will do.
    """
    for i in range(len(out)):
        at, stop = int(bounds[i]), int(bounds[i + 1])
        if csv:
            at, stop = trimmed(data, at, stop)
        value = moment_at(data, at, stop)
        if csv and value == UNSURE:
            value = number_at(data, at, stop, 0, True)
        out[i] = value if FIRST_US <= value <= LAST_US else UNSURE


def warm_up() -> None:
    """Compile, or load from disk."""
    data, bounds, out = np.zeros(1, np.uint8), np.zeros(2, np.int32), np.zeros(1, np.int64)
    scan_numbers(data, bounds, True, 0, True, out)
    scan_moments(data, bounds, True, out)
