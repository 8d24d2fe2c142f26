"""The buckets of the quantile sketch: DDSketch (Masson, Rim, Lee, VLDB 2019) at 1 %, with bounds that are exact integers.

Bucket i of a positive value holds the integers in (g**(i-1), g**i] for g = 101/99; negative values are mirrored; zero has its own.
"""

from __future__ import annotations

from bisect import bisect_left
from fractions import Fraction
from functools import cache
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

GREATEST: Final = 2**62  # the greatest magnitude of a stored integer


@cache
def bounds() -> tuple[int, ...]:
    """The greatest integer of each bucket of positive values: floor((101/99)**i), up to 2**62, each
    once.
    """
    found = [1]
    high, low = 101, 99
    while found[-1] < GREATEST:
        bound = high // low
        if bound > found[-1]:
            found.append(bound)
        high, low = high * 101, low * 99
    return tuple(found)


@cache
def bounds_array() -> npt.NDArray[np.int64]:
    """`bounds` without the last, which all values reach at most: for searchsorted."""
    return np.array(bounds()[:-1], np.int64)


def size() -> int:
    """How many ids there are: those of positive values, of negative ones, and zero."""
    return 2 * len(bounds()) + 1


def bucket(value: int) -> int:
    """The id of a value's bucket; ids order as their values do."""
    if value == 0:
        return len(bounds())
    i = bisect_left(bounds(), abs(value)) + 1
    return len(bounds()) + (i if value > 0 else -i)


def buckets(values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """`bucket` of many values."""
    i = np.searchsorted(bounds_array(), np.abs(values)) + 1
    return len(bounds()) + np.sign(values) * i


@cache
def values() -> npt.NDArray[np.float64]:
    """What stands for each id: of a bucket (lowest, highest) the number 2 lowest highest / (lowest
    + highest), at most 1 % from either.
    """
    positive = [1.0, *(float(Fraction(2 * (a + 1) * b, a + 1 + b)) for a, b in pairwise(bounds()))]
    return np.array([*(-v for v in reversed(positive)), 0.0, *positive])
