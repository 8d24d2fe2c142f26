"""Integers wider than 64 bits, as int64 words in two's complement, lowest first; and counts that stay at FULL.

Whatever may wrap is computed in uint64: to numba, as to C, overflow of a signed sum or product is undefined.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from twinstream.algebra.compiled.jit import compiled_late
from twinstream.algebra.layout import FULL

Words = npt.NDArray[np.int64]
U32 = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)
ONE, NONE = np.uint64(1), np.uint64(0)


@compiled_late
def add_count(words: Words, at: int, value: int) -> None:
    """Add to the count at `at`; what would pass FULL stays there. Associative, as counts are not
    negative.
    """
    total = np.uint64(words[at]) + np.uint64(value)
    words[at] = FULL if total > np.uint64(FULL) else np.int64(total)


@compiled_late
def add128(words: Words, at: int, low: int, high: int) -> None:
    """Add to the number at `at`, modulo 2**128: exact in any order of the terms, as their sum
    always fits.
    """
    total = np.uint64(words[at]) + np.uint64(low)
    carry = ONE if total < np.uint64(low) else NONE
    words[at] = np.int64(total)
    words[at + 1] = np.int64(np.uint64(words[at + 1]) + np.uint64(high) + carry)


@compiled_late
def add192(words: Words, at: int, low: int, middle: int, high: int) -> None:
    """Add to the number at `at`, modulo 2**192."""
    total = np.uint64(words[at]) + np.uint64(low)
    carry = ONE if total < np.uint64(low) else NONE
    words[at] = np.int64(total)
    above = np.uint64(words[at + 1]) + carry
    carry = ONE if above < carry else NONE
    above += np.uint64(middle)
    carry += ONE if above < np.uint64(middle) else NONE
    words[at + 1] = np.int64(above)
    words[at + 2] = np.int64(np.uint64(words[at + 2]) + np.uint64(high) + carry)


@compiled_late
def product(a: np.uint64, b: np.uint64) -> tuple[np.uint64, np.uint64]:
    """(low, high) of an unsigned product."""
    a1, a0, b1, b0 = a >> HALF, a & U32, b >> HALF, b & U32
    low = a0 * b0
    left = a1 * b0 + (low >> HALF)
    right = a0 * b1 + (left & U32)
    return (right << HALF) | (low & U32), a1 * b1 + (left >> HALF) + (right >> HALF)


@compiled_late
def square(value: int) -> tuple[int, int]:
    """(low, high) of value * value for |value| <= 2**62."""
    size = np.uint64(abs(value))
    low, high = product(size, size)
    return np.int64(low), np.int64(high)  # type: ignore[return-value]


@compiled_late
def magnitude(low: int, high: int) -> tuple[np.uint64, np.uint64]:
    """The absolute value, unsigned."""
    a, b = np.uint64(low), np.uint64(high)
    if high >= 0:
        return a, b
    return ~a + ONE, ~b + (ONE if a == NONE else NONE)


@compiled_late
def float128(low: int, high: int) -> float:
    """The number as a float: exact up to 2**53, else within one unit in the last place."""
    a, b = magnitude(low, high)
    size = float(b) * 2.0**64 + float(a)
    return -size if high < 0 else size


@compiled_late
def plus(a: np.uint64, b: np.uint64, carry: np.uint64) -> tuple[np.uint64, np.uint64]:
    """(sum, carry) of two words and a carry."""
    total = a + carry
    over = ONE if total < carry else NONE
    total += b
    return total, over + (ONE if total < b else NONE)


@compiled_late
def minus(a: np.uint64, b: np.uint64, borrow: np.uint64) -> tuple[np.uint64, np.uint64]:
    """(difference, borrow) of two words and a borrow."""
    left = a - b
    under = ONE if a < b else NONE
    return left - borrow, under + (ONE if left < borrow else NONE)


@compiled_late
def spread(count: int, words: Words, total: int, squares: int) -> float:
    """Count * squares - sum**2 exactly in 256 bits, then as a float. It is never negative (Cauchy
    and Schwarz).

    The sum has 2 words at `total`, the squares have 3 at `squares`.
    """
    n = np.uint64(count)
    p0, a1 = product(n, np.uint64(words[squares]))
    b1, a2 = product(n, np.uint64(words[squares + 1]))
    b2, a3 = product(n, np.uint64(words[squares + 2]))
    p1, carry = plus(a1, b1, NONE)
    p2, carry = plus(a2, b2, carry)
    p3 = a3 + carry
    s0, s1, s2, s3 = square128(words[total], words[total + 1])
    r0, borrow = minus(p0, s0, NONE)
    r1, borrow = minus(p1, s1, borrow)
    r2, borrow = minus(p2, s2, borrow)
    r3 = p3 - s3 - borrow
    return ((float(r3) * 2.0**64 + float(r2)) * 2.0**64 + float(r1)) * 2.0**64 + float(r0)


@compiled_late
def square128(low: int, high: int) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64]:
    """The square of a number of two words, in four."""
    a, b = magnitude(low, high)
    s0, t1 = product(a, a)
    cross, above = product(a, b)
    t2, t3 = product(b, b)
    s1, carry = plus(t1, cross, NONE)
    s2, carry = plus(t2, above, carry)
    s3 = t3 + carry
    s1, carry = plus(s1, cross, NONE)
    s2, carry = plus(s2, above, carry)
    return s0, s1, s2, s3 + carry


@compiled_late
def exceeds(a: int, b: int, c: int, d: int) -> bool:
    """Whether a * b > c * d, of numbers that are not negative."""
    low, high = product(np.uint64(a), np.uint64(b))
    its_low, its_high = product(np.uint64(c), np.uint64(d))
    return bool(low > its_low if high == its_high else high > its_high)
