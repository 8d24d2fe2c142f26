"""Integers wider than 64 bits, as pairs of int64 words (low, high) in two's complement.

Whatever may wrap is computed in uint64: to numba, as to C, overflow of a signed sum or product is undefined.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from twinstream.algebra.compiled.jit import compiled
from twinstream.algebra.layout import FINE, OVER_64

Words = npt.NDArray[np.int64]
U32 = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)
ONE, NONE = np.uint64(1), np.uint64(0)


@compiled
def add64(words: Words, at: int, value: int) -> int:
    """Add to the word at `at`; OVER_64, with nothing written, when the sum does not fit."""
    mine = words[at]
    total = np.int64(np.uint64(mine) + np.uint64(value))
    if ((mine ^ total) & (value ^ total)) < 0:
        return OVER_64
    words[at] = total
    return FINE


@compiled
def add128(words: Words, at: int, low: int, high: int) -> bool:
    """Add to the number at `at`; False, with nothing written, when the sum does not fit."""
    new_low = np.uint64(words[at]) + np.uint64(low)
    mine = words[at + 1]
    new_high = np.int64(np.uint64(mine) + np.uint64(high) + (ONE if new_low < np.uint64(low) else NONE))
    if ((mine ^ new_high) & (high ^ new_high)) < 0:
        return False
    words[at] = np.int64(new_low)
    words[at + 1] = new_high
    return True


@compiled
def product(a: np.uint64, b: np.uint64) -> tuple[np.uint64, np.uint64]:
    """(low, high) of an unsigned product."""
    a1, a0, b1, b0 = a >> HALF, a & U32, b >> HALF, b & U32
    low = a0 * b0
    left = a1 * b0 + (low >> HALF)
    right = a0 * b1 + (left & U32)
    return (right << HALF) | (low & U32), a1 * b1 + (left >> HALF) + (right >> HALF)


@compiled
def square(value: int) -> tuple[int, int]:
    """(low, high) of value * value for |value| <= 2**62."""
    size = np.uint64(abs(value))
    low, high = product(size, size)
    return np.int64(low), np.int64(high)  # type: ignore[return-value]


@compiled
def magnitude(low: int, high: int) -> tuple[np.uint64, np.uint64]:
    """The absolute value, unsigned."""
    a, b = np.uint64(low), np.uint64(high)
    if high >= 0:
        return a, b
    return ~a + ONE, ~b + (ONE if a == NONE else NONE)


@compiled
def float128(low: int, high: int) -> float:
    """The number as a float: exact up to 2**53, else within one unit in the last place."""
    a, b = magnitude(low, high)
    size = float(b) * 2.0**64 + float(a)
    return -size if high < 0 else size


@compiled
def spread(count: int, low: int, high: int, square_low: int, square_high: int) -> float:
    """Count * squares - sum**2 exactly in 192 bits, then as a float. It is never negative (Cauchy and Schwarz)."""
    a, b = magnitude(low, high)
    x0, x1 = product(np.uint64(count), np.uint64(square_low))
    y0, y1 = product(np.uint64(count), np.uint64(square_high))
    n1 = x1 + y0
    n2 = y1 + (ONE if n1 < x1 else NONE)
    s0, s1 = product(a, a)
    c0, c1 = product(a, b)
    t1 = s1 + c0
    t2 = product(b, b)[0] + c1 + (ONE if t1 < s1 else NONE)
    u1 = t1 + c0
    u2 = t2 + c1 + (ONE if u1 < t1 else NONE)
    borrow = ONE if x0 < s0 else NONE
    r1 = n1 - u1 - borrow
    r2 = n2 - u2 - (ONE if n1 < u1 or (n1 == u1 and borrow == ONE) else NONE)
    return (float(r2) * 2.0**64 + float(r1)) * 2.0**64 + float(x0 - s0)
