"""What an expression can do with values of more than one kind: each operation once over columns
(numpy) and once over plain values, equal by a law test. Parts of a kind lie with its type.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from twinstream.define.limits import LIMIT

Column = npt.NDArray[Any]


class Operation(NamedTuple):
    """`columns` takes value arrays, `scalar` plain values; a null argument never gets here.
    `bounded`: a result beyond LIMIT is null.
    """

    columns: Callable[..., Column]
    scalar: Callable[..., Any]
    bounded: bool = False


def same_for_both(function: Callable[..., Any]) -> Operation:
    """An operation that is the same text for arrays and for plain values."""
    return Operation(function, function)


def _multiply(a: Column, b: Column) -> Column:
    """Product in int64; what may leave 64 bits becomes LIMIT + 1, which is out of bounds."""
    with np.errstate(over="ignore"):
        product = np.asarray(a) * np.asarray(b)
    size = np.abs(np.asarray(a, np.float64)) * np.abs(np.asarray(b, np.float64))
    return np.where(size > 1.5 * LIMIT, LIMIT + 1, product)


def _add(a: Column, b: Column) -> Column:
    """Of two within LIMIT: at most 2**63, which wraps to -2**63 and is out of bounds as well."""
    with np.errstate(over="ignore"):
        return np.add(a, b)


def _subtract(a: Column, b: Column) -> Column:
    with np.errstate(over="ignore"):
        return np.subtract(a, b)


def _isin(values: Column, wanted: frozenset[Any]) -> Column:
    if values.dtype == object:
        found = np.fromiter((v in wanted for v in values.tolist()), bool, values.size)
        return found.reshape(values.shape)
    return np.isin(values, np.array(sorted(wanted), values.dtype))


OPERATIONS: dict[str, Operation] = {
    "==": same_for_both(operator.eq),
    "!=": same_for_both(operator.ne),
    "<": same_for_both(operator.lt),
    "<=": same_for_both(operator.le),
    ">": same_for_both(operator.gt),
    ">=": same_for_both(operator.ge),
    "+": Operation(_add, operator.add, bounded=True),
    "-": Operation(_subtract, operator.sub, bounded=True),
    "*": Operation(_multiply, operator.mul, bounded=True),
    "&": Operation(np.logical_and, lambda a, b: a and b),
    "|": Operation(np.logical_or, lambda a, b: a or b),
    "~": Operation(np.logical_not, operator.not_),
    "isin": Operation(_isin, lambda value, wanted: value in wanted),
}
