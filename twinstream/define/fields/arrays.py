"""Steps that types of fields share to bring whole Arrow columns into stored form."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinstream.define.limits import LIMIT, UNSURE

Bools = npt.NDArray[np.bool_]
Words = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
SURE = float(2**50)
"""Scaled floats below this round to the right integer unless they are near a tie."""
WHOLE = float(2**53)
"""Floats below this hold each whole number exactly."""
_TIE, _ERROR = 0.49, 2.0**-52
"""How far from a whole number is near a tie: half, less a scaled float's error:
half a unit in its last place from the text, as much again from scaling.
"""
_LEAF = 16
FEW_CELLS = 64
"""Fewer cells of text are left to Arrow's own casts: they cost less than loading compiled loops."""


class Stored(NamedTuple):
    """A column in stored form, and the rows of which it is not sure (there it holds null)."""

    array: pa.Array
    doubtful: Bools

    def with_doubtful(self, values: pa.Array) -> pa.Array:
        """The whole column, given its doubtful cells."""
        return pc.replace_with_mask(self.array, pa.array(self.doubtful), values)


def sure(column: pa.Array) -> Stored:
    """A column that is stored as it is."""
    return Stored(column, np.zeros(len(column), bool))


def unsure(column: pa.Array, arrow: pa.DataType) -> Stored:
    """A column of which nothing is known, to be stored as `arrow`."""
    nothing = pa.nulls(len(column), arrow)
    return Stored(nothing, bools(column.is_valid()))


def within(
    column: pa.Array,
    low: int,
    high: int,
    doubtful: Bools | None = None,
) -> Stored:
    """Whole numbers of an int64 column; doubtful where they lie outside, or were so before."""
    values, valid = ints(column)
    if doubtful is None:
        doubtful = np.zeros(len(column), bool)
    return _within(values, valid, doubtful, (low, high))


def scaled_floats(column: pa.Array, places: int, *, whole: bool = False) -> Stored:
    """Floats times 10**places, rounded; doubtful near a tie, when large, when not finite,
    and with `whole` when they are not whole.
    """
    valid = bools(column.is_valid())
    filled = column.fill_null(0.0) if column.null_count else column
    rounded, sure = _rounded(filled.to_numpy(zero_copy_only=False), places, whole=whole)
    good = valid & sure
    numbers = np.where(good, rounded, 0).astype(np.int64)
    return Stored(pa.array(numbers, mask=~good), valid & ~sure)


def _rounded(values: Floats, places: int, *, whole: bool) -> tuple[Floats, Bools]:
    """Scaled and rounded, and of which that is sure."""
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = values * float(10**places)
        rounded = np.rint(scaled)
        return rounded, _sure_of(scaled, rounded, whole=whole)


def _sure_of(scaled: Floats, rounded: Floats, *, whole: bool) -> Bools:
    """Where a scaled float can be rounded to one whole number only."""
    size = np.abs(scaled)
    lost = np.abs(scaled - rounded)
    if whole:
        return (size < WHOLE) & (lost == 0.0)
    return (size < SURE) & (lost <= _TIE - _ERROR * size)


def scaled_decimals(column: pa.Array, places: int, *, whole: bool = False) -> Stored:
    """Exact decimals of any scale, rounded half-even to so many places;
    with `whole` doubtful where that changes one.
    """
    try:
        rounded, lost = _half_even(column, places)
    except pa.ArrowInvalid:
        return unsure(column, pa.int64())
    column, doubt = cast(rounded, pa.decimal128(38, places))
    low, high = _halves(column)
    valid = bools(column.is_valid())
    doubt |= (lost & whole) | (valid & (high != low >> 63))
    return _within(np.where(valid, low, 0), valid, doubt, (-LIMIT, LIMIT))


def _half_even(column: pa.Array, places: int) -> tuple[pa.Array, Bools]:
    """Rounded to so many places, and which values that changes."""
    if column.type.scale <= places:
        return column, np.zeros(len(column), bool)
    rounded = pc.round(column, places, "half_to_even")
    return rounded, bools(pc.not_equal(column, rounded))


def cast(column: pa.Array, to: pa.DataType) -> tuple[pa.Array, Bools]:
    """The column cast, null and doubtful where the cast fails (and at a few neighbours,
    which the slow way gives the same).
    """
    try:
        return column.cast(to), np.zeros(len(column), bool)
    except pa.ArrowInvalid:
        if len(column) <= _LEAF:
            return pa.nulls(len(column), to), bools(column.is_valid())
    return _cast_halves(column, to)


def _cast_halves(column: pa.Array, to: pa.DataType) -> tuple[pa.Array, Bools]:
    middle = len(column) // 2
    arrays, doubts = zip(cast(column[:middle], to), cast(column[middle:], to), strict=True)
    return pa.concat_arrays(arrays), np.concatenate(doubts)


def cells_of(column: pa.Array) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32], Words]:
    """(bytes, bounds, room for the values) of a text column, as the compiled loops take them."""
    _, bounds, data = column.buffers()
    whole = np.frombuffer(bounds, np.int32)
    return (
        np.frombuffer(data if data is not None else b"", np.uint8),
        whole[column.offset : column.offset + len(column) + 1],
        np.empty(len(column), np.int64),
    )


def scanned(column: pa.Array, out: Words) -> Stored:
    """What a compiled loop found, null and doubtful where it is not sure."""
    doubt = out == UNSURE
    if column.null_count:
        valid = bools(column.is_valid())
        return Stored(pa.array(out, mask=~valid | doubt), valid & doubt)
    if doubt.any():
        return Stored(pa.array(out, mask=doubt), doubt)
    return Stored(pa.array(out), doubt)


def scanned_numbers(
    column: pa.Array,
    places: int,
    *,
    csv: bool,
    whole: bool,
) -> Stored:
    """Text as numbers of so many places, by the compiled loop."""
    from twinstream.define.compiled.cells import scan_numbers

    data, bounds, out = cells_of(column)
    scan_numbers(data, bounds, csv, places, whole, out)
    return scanned(column, out)


def ints(column: pa.Array) -> tuple[Words, Bools]:
    """int64[n], 0 for null, and which are valid."""
    if not column.null_count:
        return column.to_numpy(zero_copy_only=False), np.ones(len(column), bool)
    return column.fill_null(0).to_numpy(zero_copy_only=False), bools(column.is_valid())


def bools(column: Any) -> Bools:
    """True where true; a copy."""
    if column.null_count:
        column = column.fill_null(False)
    return np.array(column.to_numpy(zero_copy_only=False), bool)


def is_text(found: pa.DataType) -> bool:
    """Whether it is one of Arrow's types of text."""
    return bool(
        pa.types.is_string(found)
        or pa.types.is_large_string(found)
        or pa.types.is_string_view(found)
    )


def is_number(found: pa.DataType) -> bool:
    """Whether it is one of Arrow's types of numbers of at most 128 bits."""
    whole = pa.types.is_integer(found)
    return bool(whole or pa.types.is_floating(found) or _is_decimal(found))


def _is_decimal(found: pa.DataType) -> bool:
    """Of at most 128 bits."""
    small = pa.types.is_decimal32(found) or pa.types.is_decimal64(found)
    return bool(small or pa.types.is_decimal128(found))


def _halves(column: pa.Array) -> tuple[Words, Words]:
    """The low and the high 64 bits of each decimal128: 16 bytes each, little-endian."""
    if not len(column):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    words = np.frombuffer(column.buffers()[1], np.int64)
    words = words[2 * column.offset : 2 * (column.offset + len(column))]
    return words[::2], words[1::2]


def _within(
    values: Words,
    valid: Bools,
    doubt: Bools,
    bounds: tuple[int, int],
) -> Stored:
    low, high = bounds
    doubt = doubt | (valid & ((values < low) | (values > high)))
    good = valid & ~doubt
    if good.all():
        return Stored(pa.array(values), doubt)
    return Stored(pa.array(values, mask=~good), doubt)
