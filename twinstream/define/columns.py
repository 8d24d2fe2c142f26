"""Whole columns as they came, in stored form: the fast way.
What it is not sure of it names, for `values.stored` to decide.
"""

# Law: where this is sure, `values.stored` gives the same.

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from twinstream.define.fields.arrays import FEW_CELLS, Stored, ints
from twinstream.define.fields.base import FieldType
from twinstream.define.limits import LIMIT

_UNITS_US = {"s": 1_000_000, "ms": 1000, "us": 1}
_NS_IN_US = 1000


_AS_TEXT = (pa.types.is_large_string, pa.types.is_string_view, pa.types.is_date)


def store(kind: FieldType, column: pa.Array, *, text: bool = False) -> Stored:
    """A column of string, int64, float64, bool, decimal128 or null (see `plain`) in stored form."""
    if text:
        column = _text_cells(kind, column)
    if pa.types.is_null(column.type):
        return Stored(pa.nulls(len(column), kind.arrow), np.zeros(len(column), bool))
    return kind.stored_column(column, text=text)


def _text_cells(kind: FieldType, column: pa.Array) -> pa.Array:
    """Empty text as null, and trimmed where the type takes no space."""
    column = pc.if_else(pc.equal(column, ""), pa.scalar(None, column.type), column)
    if kind.trimmed and len(column) < FEW_CELLS:
        return pc.ascii_trim_whitespace(column)
    return column


def plain(column: pa.Array) -> pa.Array:
    """A column of any Arrow type as one of the few that types of fields know;
    others stay and are doubted whole.

    Dates become text, as JSON has them: Python has none beyond the year 9999, a file may.
    Moments with a zone become whole microseconds (rounded down);
    those without become text, which is refused for want of a zone.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        return plain(column.cast(kind.value_type))
    if any(is_of(kind) for is_of in _AS_TEXT):
        return column.cast(pa.string())
    if pa.types.is_timestamp(kind):
        return column.cast(pa.string()) if kind.tz is None else _microseconds(column)
    return _plain_number(column)


def _plain_number(column: pa.Array) -> pa.Array:
    """Integers as int64 or decimals, small decimals as decimal128, floats as the shortest."""
    kind = column.type
    if pa.types.is_uint64(kind):
        return _unsigned(column)
    if pa.types.is_integer(kind):
        return column.cast(pa.int64())
    if pa.types.is_decimal32(kind) or pa.types.is_decimal64(kind):
        return column.cast(pa.decimal128(38, kind.scale))
    return _shortest(column) if pa.types.is_floating(kind) else column


def _unsigned(column: pa.Array) -> pa.Array:
    """uint64 as int64 where all of it fits."""
    most = pc.max(column).as_py()
    return column.cast(pa.int64() if (most or 0) <= LIMIT else pa.decimal128(20, 0))


def _shortest(column: pa.Array) -> pa.Array:
    """float64; a float32 stands for its shortest text, as it does in JSON."""
    if pa.types.is_float64(column.type):
        return column
    small = column.to_numpy(zero_copy_only=False)
    valid = column.is_valid().to_pylist()
    pairs = zip(small, valid, strict=True)
    values = [float(str(value)) if ok else None for value, ok in pairs]
    return pa.array(values, pa.float64())


def _microseconds(column: pa.Array) -> pa.Array:
    values, valid = ints(column.cast(pa.int64()))
    if column.type.unit == "ns":
        return pa.array(values // _NS_IN_US, mask=~valid)
    factor = _UNITS_US[column.type.unit]
    inside = np.abs(values.astype(np.float64)) < LIMIT / factor
    micros = values * np.where(inside, factor, 1)
    return pa.array(np.where(inside, micros, LIMIT), mask=~valid)
