"""What an expression is worth: over columns, or for one record, by one stack of its nodes.
Law: both give the same; a null argument gives null.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinstream.define.limits import LIMIT
from twinstream.define.operations import Column

if TYPE_CHECKING:
    from twinstream.define.expressions import Expr

Cells = tuple[Column, npt.NDArray[np.bool_]]
CellsOf = Callable[[str], Cells]
"""Values and validity of a field, by its name."""


def of_record(steps: tuple[Expr, ...], record: Mapping[str, Any]) -> Any:
    """The stored value for one record of stored values, None for null."""
    stack: list[Any] = []
    for node in steps:
        if node.op == "field":
            stack.append(record.get(node.value))
        elif node.op == "literal":
            stack.append(node.value)
        elif len(node.args) == 2:
            right = stack.pop()
            stack[-1] = _one(node, (stack[-1], right))
        else:
            stack[-1] = _one(node, (stack[-1],))
    return stack[0]


def of_columns(steps: tuple[Expr, ...], cells: CellsOf) -> Cells:
    """Stored values and validity, one per row, or one for all rows where no field is read."""
    stack: list[Cells] = []
    for node in steps:
        if node.op == "field":
            stack.append(cells(node.value))
        elif node.op == "literal":
            stack.append(_literal_cells(node))
        elif len(node.args) == 2:
            right = stack.pop()
            stack[-1] = _all(node, (stack[-1], right))
        else:
            stack[-1] = _all(node, (stack[-1],))
    return stack[0]


def _literal_cells(node: Expr) -> Cells:
    cell = np.array(node.value, object if node.value_kind.objects else None)
    return cell, np.True_  # type: ignore[return-value]


def field_column(column: pa.Array | pa.ChunkedArray) -> Cells:
    """Values (strings as objects, nulls filled) and validity of an Arrow column."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if array.null_count == 0:
        return array.to_numpy(zero_copy_only=False), np.True_  # type: ignore[return-value]
    valid = array.is_valid().to_numpy(zero_copy_only=False)
    return _filled(array).to_numpy(zero_copy_only=False), valid


def _filled(array: pa.Array) -> pa.Array:
    text = pa.types.is_string(array.type) or pa.types.is_large_string(array.type)
    zero: object = "" if text else 0
    return pc.fill_null(array, pa.scalar(zero).cast(array.type))


def _one(node: Expr, args: tuple[Any, ...]) -> Any:
    operation = node.operation
    if operation is None:
        return args[0] is None
    if None in args:
        return None
    more = () if node.value is None else (node.value,)
    result = operation.scalar(*args, *more)
    return None if operation.bounded and abs(result) > LIMIT else result


def _all(node: Expr, args: tuple[Cells, ...]) -> Cells:
    operation = node.operation
    if operation is None:
        return ~np.asarray(args[0][1]), np.True_  # type: ignore[return-value]
    more = () if node.value is None else (node.value,)
    valid = np.logical_and.reduce(np.broadcast_arrays(*(v for _, v in args)))
    result = operation.columns(*(values for values, _ in args), *more)
    if operation.bounded:
        valid = valid & (result >= -LIMIT) & (result <= LIMIT)
    return result, valid
