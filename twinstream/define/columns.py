"""Whole columns as they came, in stored form: the fast way.
What it is not sure of it names, for `values.stored` to decide.
"""

# Law: where this is sure, `values.stored` gives the same.

# ruff: noqa: ARG001, FBT001  (one signature for all types)

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinstream.define.types import LIMIT, FieldType
from twinstream.define.values import FIRST_US, LAST_US, MOMENT, UNSURE

Bools = npt.NDArray[np.bool_]
Words = npt.NDArray[np.int64]
SURE = float(2**50)
"""Scaled floats below this round to the right integer unless they are near a tie."""
WHOLE = float(2**53)
"""Floats below this hold each whole number exactly."""
_TIE, _ERROR = 0.49, 2.0**-52
"""How far from a whole number is near a tie: half, less a scaled float's error:
half a unit in its last place from the text, as much again from scaling.
"""
_LEAF = 16
_MANY = 64
"""Fewer cells of text are left to Arrow's own casts: they cost less than loading compiled loops."""


class Stored(NamedTuple):
    """A column in stored form, and the rows of which it is not sure (there it holds null)."""

    array: pa.Array
    doubtful: Bools


def store(kind: FieldType, column: pa.Array, *, text: bool = False) -> Stored:
    """A column of string, int64, float64, bool, decimal128 or null (see `plain`) in stored form."""
    if text:
        column = pc.if_else(pc.equal(column, ""), pa.scalar(None, column.type), column)
        if kind.kind == "bool" or (kind.kind != "string" and len(column) < _MANY):
            column = pc.ascii_trim_whitespace(column)
    if pa.types.is_null(column.type):
        return Stored(pa.nulls(len(column), kind.arrow), np.zeros(len(column), bool))
    return _STORE[kind.kind](kind, column, text)


def plain(column: pa.Array) -> pa.Array:
    """A column of any Arrow type as one of the few that `store` knows;
    others stay and are doubted whole.

    Moments with a zone become whole microseconds (rounded down);
    those without become text, which is refused for want of a zone.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        return plain(column.cast(kind.value_type))
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return column.cast(pa.string())
    if pa.types.is_timestamp(kind):
        return column.cast(pa.string()) if kind.tz is None else _microseconds(column)
    if pa.types.is_uint64(kind):
        most = pc.max(column).as_py()
        return column.cast(pa.int64() if (most or 0) <= LIMIT else pa.decimal128(20, 0))
    if pa.types.is_integer(kind):
        return column.cast(pa.int64())
    if pa.types.is_decimal32(kind) or pa.types.is_decimal64(kind):
        return column.cast(pa.decimal128(38, kind.scale))
    if pa.types.is_floating(kind):
        return _shortest(column)
    return column


def _shortest(column: pa.Array) -> pa.Array:
    """float64; a float32 stands for its shortest text, as it does in JSON."""
    if pa.types.is_float64(column.type):
        return column
    small = column.to_numpy(zero_copy_only=False)
    return pa.array(
        [
            None if not ok else float(str(v))
            for v, ok in zip(small, column.is_valid().to_pylist(), strict=True)
        ],
        pa.float64(),
    )


def _microseconds(column: pa.Array) -> pa.Array:
    units = {"s": 1_000_000, "ms": 1000, "us": 1}
    values, valid = _ints(column.cast(pa.int64()))
    if column.type.unit == "ns":
        return pa.array(values // 1000, mask=~valid)
    factor = units[column.type.unit]
    inside = np.abs(values.astype(np.float64)) < LIMIT / factor
    return pa.array(np.where(inside, values * np.where(inside, factor, 1), LIMIT), mask=~valid)


def _string(kind: FieldType, column: pa.Array, text: bool) -> Stored:
    return (
        Stored(column, np.zeros(len(column), bool))
        if pa.types.is_string(column.type)
        else _unsure(kind, column)
    )


def _bool(kind: FieldType, column: pa.Array, text: bool) -> Stored:
    if pa.types.is_boolean(column.type):
        return Stored(column, np.zeros(len(column), bool))
    if not text:
        return _unsure(kind, column)
    lowered = pc.ascii_lower(column)
    known = pc.is_in(lowered, value_set=pa.array(["true", "false", "1", "0"]))
    true = pc.is_in(lowered, value_set=pa.array(["true", "1"]))
    return Stored(pc.if_else(known, true, None), _numpy(pc.and_not(column.is_valid(), known)))


def _int(kind: FieldType, column: pa.Array, text: bool) -> Stored:
    if pa.types.is_string(column.type) and text and len(column) >= _MANY:
        return _numbers(column, 0, csv=True, whole=True)
    if pa.types.is_string(column.type) and text:
        column = pc.if_else(pc.match_substring_regex(column, "^-?[0-9]+$"), column, None), column
        numbers, doubt = _cast(column[0], pa.int64())
        doubt |= _numpy(pc.and_not(column[1].is_valid(), column[0].is_valid()))
        values, valid = _ints(numbers)
    elif pa.types.is_integer(column.type):
        values, valid = _ints(column)
        doubt = np.zeros(len(column), bool)
    elif pa.types.is_floating(column.type):
        return _scaled(column, 0, whole=True)
    elif pa.types.is_decimal128(column.type):
        return _fixed(kind, column, whole=True)
    else:
        return _unsure(kind, column)
    return _within(values, valid, doubt, -LIMIT, LIMIT)


def _decimal(kind: FieldType, column: pa.Array, text: bool) -> Stored:
    if pa.types.is_string(column.type) and len(column) >= _MANY:
        return _numbers(column, kind.places, csv=text, whole=False)
    if pa.types.is_string(column.type):
        numbers, doubt = _cast(column, pa.float64())
        result = _scaled(numbers, kind.places)
        return Stored(result.array, result.doubtful | doubt)
    if pa.types.is_floating(column.type):
        return _scaled(column, kind.places)
    if pa.types.is_integer(column.type):
        values, valid = _ints(column)
        bound = LIMIT // 10**kind.places
        stored = _within(values, valid, np.zeros(len(column), bool), -bound, bound)
        return Stored(pc.multiply(stored.array, 10**kind.places), stored.doubtful)
    return _fixed(kind, column) if pa.types.is_decimal128(column.type) else _unsure(kind, column)


def _timestamp(kind: FieldType, column: pa.Array, text: bool) -> Stored:
    if pa.types.is_integer(column.type):
        values, valid = _ints(column)
        return _within(values, valid, np.zeros(len(column), bool), FIRST_US, LAST_US)
    if pa.types.is_floating(column.type):
        return _narrowed(_scaled(column, 0, whole=True))
    if pa.types.is_decimal128(column.type):
        return _narrowed(_fixed(kind, column, whole=True))
    if not pa.types.is_string(column.type):
        return _unsure(kind, column)
    if len(column) >= _MANY:
        return _moments(column, csv=text)
    moments, doubt = _cast(column, MOMENT)
    values, valid = _ints(moments.cast(pa.int64()))
    return _within(values, valid, doubt, FIRST_US, LAST_US)


def _numbers(column: pa.Array, places: int, *, csv: bool, whole: bool) -> Stored:
    """Text as numbers of so many places."""
    from twinstream.define.compiled.cells import scan_numbers

    data, bounds, out = _cells(column)
    scan_numbers(data, bounds, csv, places, whole, out)
    return _scanned(column, out)


def _moments(column: pa.Array, *, csv: bool) -> Stored:
    """Text as moments; in a CSV file whole microseconds are moments too."""
    from twinstream.define.compiled.cells import scan_moments

    data, bounds, out = _cells(column)
    scan_moments(data, bounds, csv, out)
    return _scanned(column, out)


def _cells(column: pa.Array) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32], Words]:
    """(bytes, bounds, room for the values) of a text column, as the compiled loops take them."""
    _, bounds, data = column.buffers()
    whole = np.frombuffer(bounds, np.int32)
    return (
        np.frombuffer(data if data is not None else b"", np.uint8),
        whole[column.offset : column.offset + len(column) + 1],
        np.empty(len(column), np.int64),
    )


def _scanned(column: pa.Array, out: Words) -> Stored:
    """What a compiled loop found, null and doubtful where it is not sure."""
    doubt = out == UNSURE
    if column.null_count:
        valid = _numpy(column.is_valid())
        return Stored(pa.array(out, mask=~valid | doubt), valid & doubt)
    return Stored(pa.array(out, mask=doubt) if doubt.any() else pa.array(out), doubt)


def _narrowed(numbers: Stored) -> Stored:
    """Whole numbers as moments."""
    values, valid = _ints(numbers.array)
    return _within(values, valid, numbers.doubtful, FIRST_US, LAST_US)


_STORE: dict[str, Callable[[FieldType, pa.Array, bool], Stored]] = {
    "string": _string,
    "bool": _bool,
    "int": _int,
    "decimal": _decimal,
    "timestamp": _timestamp,
}


def _scaled(column: pa.Array, places: int, *, whole: bool = False) -> Stored:
    """Floats times 10**places, rounded; doubtful near a tie, when large, when not finite,
    and with `whole` when they are not whole.
    """
    valid = _numpy(column.is_valid())
    values = (column.fill_null(0.0) if column.null_count else column).to_numpy(zero_copy_only=False)
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = values * float(10**places)
        rounded = np.rint(scaled)
        size = np.abs(scaled)
        sure = (size < (WHOLE if whole else SURE)) & (
            np.abs(scaled - rounded) <= (0.0 if whole else _TIE - _ERROR * size)
        )
    good = valid & sure
    return Stored(pa.array(np.where(good, rounded, 0).astype(np.int64), mask=~good), valid & ~sure)


def _fixed(kind: FieldType, column: pa.Array, *, whole: bool = False) -> Stored:
    """Exact decimals of any scale, rounded half-even to the field's places;
    with `whole` doubtful where that changes one.
    """
    lost = np.zeros(len(column), bool)
    try:
        if column.type.scale > kind.places:
            rounded = pc.round(column, kind.places, "half_to_even")
            lost = _numpy(pc.not_equal(column, rounded)) if whole else lost
            column = rounded
    except pa.ArrowInvalid:
        return _unsure(kind, column)
    column, doubt = _cast(column, pa.decimal128(38, kind.places))
    words = (
        np.frombuffer(column.buffers()[1], np.int64)[
            2 * column.offset : 2 * (column.offset + len(column))
        ]
        if len(column)
        else np.zeros(0, np.int64)
    )
    low, high = words[::2], words[1::2]
    valid = _numpy(column.is_valid())
    doubt |= lost | (valid & (high != low >> 63))
    return _within(np.where(valid, low, 0), valid, doubt, -LIMIT, LIMIT)


def _within(
    values: npt.NDArray[np.int64], valid: Bools, doubt: Bools, low: int, high: int
) -> Stored:
    doubt = doubt | (valid & ((values < low) | (values > high)))
    good = valid & ~doubt
    return Stored(pa.array(values, mask=~good) if not good.all() else pa.array(values), doubt)


def _cast(column: pa.Array, to: pa.DataType) -> tuple[pa.Array, Bools]:
    """The column cast, null and doubtful where the cast fails (and at a few neighbours,
    which the slow way gives the same).
    """
    try:
        return column.cast(to), np.zeros(len(column), bool)
    except pa.ArrowInvalid:
        if len(column) <= _LEAF:
            return pa.nulls(len(column), to), _numpy(column.is_valid())
        middle = len(column) // 2
        halves = _cast(column.slice(0, middle), to), _cast(column.slice(middle), to)
        return pa.concat_arrays([h[0] for h in halves]), np.concatenate([h[1] for h in halves])


def _unsure(kind: FieldType, column: pa.Array) -> Stored:
    return Stored(pa.nulls(len(column), kind.arrow), _numpy(column.is_valid()))


def _ints(column: pa.Array) -> tuple[npt.NDArray[np.int64], Bools]:
    if not column.null_count:
        return column.to_numpy(zero_copy_only=False), np.ones(len(column), bool)
    return column.fill_null(0).to_numpy(zero_copy_only=False), _numpy(column.is_valid())


def _numpy(column: Any) -> Bools:
    """True where true; a copy."""
    return np.array(
        (column.fill_null(False) if column.null_count else column).to_numpy(zero_copy_only=False),
        bool,
    )
