"""What a plan takes from a record batch: int64 values and their validity, one row a column of the
plan.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinstream.algebra import buckets, registers
from twinstream.algebra.slots import Column, Take
from twinstream.define.evaluation import field_column

Values = npt.NDArray[np.int64]
Valid = npt.NDArray[np.bool_]


class Shared:
    """What views have taken of one batch, so that the next one need not take it again: views of a
    source are often alike but for their key.
    """

    def __init__(self, batch: pa.RecordBatch) -> None:
        self._batch = batch
        self._found: dict[Column, tuple[Any, Any]] = {}

    def of(self, batch: pa.RecordBatch) -> dict[Column, tuple[Any, Any]]:
        """By column what was taken; nothing of another batch, as a view's condition makes one."""
        return self._found if batch is self._batch else {}


def take(
    columns: Sequence[Column], batch: pa.RecordBatch, shared: Shared | None = None
) -> tuple[Values, Valid]:
    """(values, valid), both [columns, rows]; what lies at an invalid row has no meaning."""
    values = np.zeros((len(columns), batch.num_rows), np.int64)
    valid = np.ones((len(columns), batch.num_rows), np.bool_)
    found = {} if shared is None else shared.of(batch)
    for i, column in enumerate(columns):
        if column not in found:
            found[column] = _met(column, batch)
        values[i], valid[i] = found[column]
    return values, valid


def integers(array: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """An Arrow column of integers as int64; a null is 0."""
    return np.ascontiguousarray(field_column(array)[0], np.int64)


def _met(column: Column, batch: pa.RecordBatch) -> tuple[Any, Any]:
    values, valid = _taken(column, batch)
    return values, valid if column.where is None else valid & column.where.condition(batch)


def _taken(column: Column, batch: pa.RecordBatch) -> tuple[Any, Any]:
    if column.of is None:
        return 1, True
    if not isinstance(column.of, str):
        values, valid = column.of.columns(batch)
        return (1 if column.take is Take.ONE else _number(column.take, values)), valid
    array = batch.column(column.of)
    if column.take is Take.ONE:
        return 1, True if array.null_count == 0 else array.is_valid().to_numpy(zero_copy_only=False)
    if column.take is Take.CATEGORY:
        return _category(array, column.categories)
    if column.take is Take.REGISTER and pa.types.is_string(array.type):
        return registers.registers(
            array
        ), True if array.null_count == 0 else array.is_valid().to_numpy(zero_copy_only=False)
    values, valid = field_column(array)
    return _number(column.take, values), valid


def _number(take: Take, values: npt.NDArray[Any]) -> Values:
    """The stored integers, or what a sketch keeps of them."""
    stored = values.astype(np.int64)
    return (
        {Take.BUCKET: buckets.buckets, Take.REGISTER: registers.registers}[take](stored)
        if take is not Take.VALUE
        else stored
    )


def _category(array: pa.Array, categories: tuple[Any, ...]) -> tuple[Values, Any]:
    found = pc.index_in(array, value_set=pa.array(categories, array.type), skip_nulls=True)
    return found.fill_null(0).to_numpy().astype(np.int64), found.is_valid().to_numpy(
        zero_copy_only=False
    )
