"""What an expression can do: each operation once over columns (numpy) and once over plain values,
equal by a law test.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from twinstream.define.types import LIMIT

Column = npt.NDArray[Any]
MINUTE_US, HOUR_US, DAY_US = 60_000_000, 3_600_000_000, 86_400_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Operation(NamedTuple):
    """`columns` takes value arrays, `scalar` plain values; a null argument never gets here.
    `bounded`: a result beyond LIMIT is null.
    """

    columns: Callable[..., Column]
    scalar: Callable[..., Any]
    bounded: bool = False


def _multiply(a: Column, b: Column) -> Column:
    """Product in int64; what may leave 64 bits becomes LIMIT + 1, which is out of bounds."""
    with np.errstate(over="ignore"):
        product = np.asarray(a) * np.asarray(b)
    size = np.abs(np.asarray(a, np.float64)) * np.abs(np.asarray(b, np.float64))
    return np.where(size > 1.5 * LIMIT, LIMIT + 1, product)


def _add(a: Column, b: Column) -> Column:
    with np.errstate(over="ignore"):
        return np.add(
            a, b
        )  # of two within LIMIT: at most 2**63, which wraps to -2**63 and is out of bounds as well


def _subtract(a: Column, b: Column) -> Column:
    with np.errstate(over="ignore"):
        return np.subtract(a, b)


def _isin(values: Column, wanted: frozenset[Any]) -> Column:
    if values.dtype == object:
        return np.fromiter((v in wanted for v in values.tolist()), bool, values.size).reshape(
            values.shape
        )
    return np.isin(values, np.array(sorted(wanted), values.dtype))


def _months(us: Column) -> Column:
    return us.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64) % 12 + 1


def _days_of_year(us: Column) -> Column:
    days = us.astype("datetime64[us]").astype("datetime64[D]")
    return (days - days.astype("datetime64[Y]").astype("datetime64[D]")).astype(np.int64) + 1


def _moment(us: int) -> datetime:
    return EPOCH + timedelta(microseconds=us)


def _both(function: Callable[..., Any], *, bounded: bool = False) -> Operation:
    """An operation that is the same text for arrays and for plain values."""
    return Operation(function, function, bounded)


OPERATIONS: dict[str, Operation] = {
    "==": _both(operator.eq),
    "!=": _both(operator.ne),
    "<": _both(operator.lt),
    "<=": _both(operator.le),
    ">": _both(operator.gt),
    ">=": _both(operator.ge),
    "+": Operation(_add, operator.add, bounded=True),
    "-": Operation(_subtract, operator.sub, bounded=True),
    "*": Operation(_multiply, operator.mul, bounded=True),
    "&": Operation(np.logical_and, lambda a, b: a and b),
    "|": Operation(np.logical_or, lambda a, b: a or b),
    "~": Operation(np.logical_not, operator.not_),
    "isin": Operation(_isin, lambda value, wanted: value in wanted),
    "minutes": _both(lambda us: us // MINUTE_US),
    "hours": _both(lambda us: us // HOUR_US),
    "days": _both(lambda us: us // DAY_US),
    "hour": _both(lambda us: us // HOUR_US % 24),
    "minute_of_day": _both(lambda us: us // MINUTE_US % 1440),
    "weekday": _both(lambda us: (us // DAY_US + 3) % 7),  # Monday is 0; 1970 began on a Thursday
    "month": Operation(_months, lambda us: _moment(us).month),
    "day_of_year": Operation(_days_of_year, lambda us: _moment(us).timetuple().tm_yday),
}
