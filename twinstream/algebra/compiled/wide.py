"""Integers wider than 64 bits, as pairs of int64 words (low, high) in two's complement."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from twinstream.algebra.compiled.jit import compiled
from twinstream.algebra.layout import LOWEST

Words = npt.NDArray[np.int64]


@compiled
def below(a: int, b: int) -> bool:
    """a < b, both read as unsigned."""
    return (a ^ LOWEST) < (b ^ LOWEST)


@compiled
def add128(words: Words, at: int, low: int, high: int) -> bool:
    """Add to the number at `at`; False, with nothing written, when the sum does not fit."""
    new_low = words[at] + low
    mine = words[at + 1]
    new_high = mine + high + (1 if below(new_low, low) else 0)
    if ((mine ^ new_high) & (high ^ new_high)) < 0:
        return False
    words[at] = new_low
    words[at + 1] = new_high
    return True


@compiled
def square(value: int) -> tuple[int, int]:
    """(low, high) of value * value for |value| <= 2**62."""
    size = abs(value)
    high, low = size >> 32, size & 0xFFFFFFFF
    middle = 2 * high * low
    first = low * low
    result = first + (middle << 32)
    return result, high * high + (middle >> 32) + (1 if below(result, first) else 0)


@compiled
def magnitude(low: int, high: int) -> tuple[int, int]:
    """The absolute value, unsigned."""
    if high >= 0:
        return low, high
    return -low, ~high + (1 if low == 0 else 0)


@compiled
def unsigned_float(word: int) -> float:
    """The nearest float to a word read as unsigned."""
    return float(np.uint64(word))


@compiled
def float128(low: int, high: int) -> float:
    """The number as a float: exact below 2**53, else within one unit in the last place."""
    a, b = magnitude(low, high)
    size = unsigned_float(b) * 2.0**64 + unsigned_float(a)
    return -size if high < 0 else size


@compiled
def product(a: int, b: int) -> tuple[int, int]:
    """(low, high) of the unsigned product of two words read as unsigned."""
    mask = 0xFFFFFFFF
    a1, a0, b1, b0 = (a >> 32) & mask, a & mask, (b >> 32) & mask, b & mask
    low = a0 * b0
    left = a1 * b0 + ((low >> 32) & mask)
    right = a0 * b1 + (left & mask)
    return (right << 32) | (low & mask), a1 * b1 + ((left >> 32) & mask) + ((right >> 32) & mask)


@compiled
def spread(count: int, low: int, high: int, square_low: int, square_high: int) -> float:
    """count * squares - sum**2 exactly in 192 bits, then as a float. It is never negative (Cauchy and Schwarz)."""
    a, b = magnitude(low, high)
    x0, x1 = product(count, square_low)
    y0, y1 = product(count, square_high)
    n1 = x1 + y0
    n2 = y1 + (1 if below(n1, x1) else 0)
    s0, s1 = product(a, a)
    c0, c1 = product(a, b)
    d0 = product(b, b)[0]
    t1 = s1 + c0
    t2 = d0 + c1 + (1 if below(t1, s1) else 0)
    u1 = t1 + c0
    u2 = t2 + c1 + (1 if below(u1, t1) else 0)
    r0 = x0 - s0
    borrow = 1 if below(x0, s0) else 0
    r1 = n1 - u1 - borrow
    r2 = n2 - u2 - (1 if below(n1, u1) or (n1 == u1 and borrow == 1) else 0)
    return (unsigned_float(r2) * 2.0**64 + unsigned_float(r1)) * 2.0**64 + unsigned_float(r0)
