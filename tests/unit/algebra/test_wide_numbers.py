"""Words of 128 and 192 bits, and counts, against Python's integers."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from twinstream.algebra.compiled import wide

wide_numbers = (
    st.integers(-(2**127), 2**127 - 1)
    | st.integers(-(2**65), 2**65)
    | st.sampled_from([0, -1, 2**64, 2**127 - 1, -(2**127)])
)
stored = st.integers(-(2**62), 2**62)


def words_of(value: int, size: int = 2) -> list[int]:
    """A number modulo 2**(64 size) as words."""
    return [
        int(w)
        for w in np.frombuffer((value % 2 ** (64 * size)).to_bytes(8 * size, "little"), np.int64)
    ]


@settings(max_examples=300, deadline=None)
@given(wide_numbers, wide_numbers)
@example(2**127 - 1, 1)
@example(-(2**127), -1)
def test_sum_is_exact_modulo_128_bits(a, b):
    words = np.array(words_of(a), np.int64)
    wide.add128(words, 0, *words_of(b))
    assert words.tolist() == words_of(a + b)


longer = st.integers(-(2**191), 2**191 - 1) | st.sampled_from(
    [2**128 - 1, 2**128, 2**191 - 1, 2**64 - 1, 0, -1]
)


@settings(max_examples=300, deadline=None)
@given(longer, longer)
@example(2**128 - 1, 2**128 - 1)
@example(2**128 - 1, 1)
@example(2**128 - 2**64, 2**64)
@example(2**128 - 2**64 + 1, 2**128 - 1)
def test_sum_is_exact_modulo_192_bits(a, b):
    words = np.array(words_of(a, 3), np.int64)
    wide.add192(words, 0, *words_of(b, 3))
    assert words.tolist() == words_of(a + b, 3)


counts = st.integers(0, 2**63 - 1) | st.sampled_from([0, 1, 2**63 - 1, 2**63 - 2, 2**62])


@settings(max_examples=200, deadline=None)
@given(counts, counts)
def test_count_stays_at_its_greatest(a, b):
    words = np.array([a], np.int64)
    wide.add_count(words, 0, b)
    assert words[0] == min(a + b, 2**63 - 1)


@settings(max_examples=300, deadline=None)
@given(counts, counts, counts, counts)
def test_products_are_compared_exactly(a, b, c, d):
    assert wide.exceeds(a, b, c, d) == (a * b > c * d)


@settings(max_examples=300, deadline=None)
@given(stored)
def test_square_is_exact(a):
    assert list(wide.square(a)) == words_of(a * a)


@settings(max_examples=300, deadline=None)
@given(wide_numbers)
@example(-1)
@example(-(2**53) + 1)
def test_float_is_exact_below_53_bits_and_within_one_unit_above(a):
    found = wide.float128(*words_of(a))
    assert abs(Fraction(found) - a) <= (Fraction(math.ulp(float(a))) if abs(a) > 2**53 else 0)


@settings(max_examples=300, deadline=None)
@given(st.lists(stored, min_size=1, max_size=7), st.integers(1, 2**20))
@example([10**18] * 3 + [10**18 + 1], 1)
@example([2**62, -(2**62)] * 3, 1)
def test_spread_of_many_equal_values_loses_nothing_to_cancellation(values, times):
    times = times if max(map(abs, values)) < 2**50 else 1
    n, total, squares = len(values) * times, sum(values) * times, sum(v * v for v in values) * times
    exact = n * squares - total * total
    assert abs(Fraction(spread_of(n, total, squares)) - exact) <= Fraction(exact) / 2**51


def spread_of(n: int, total: int, squares: int) -> float:
    return wide.spread(n, np.array([*words_of(total), *words_of(squares, 3)], np.int64), 0, 2)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(stored, st.integers(1, 2**60)), min_size=1, max_size=4))
@example([(2**62, 2**60)])
@example([(2**62, 2**60), (-(2**62), 2**60)])
@example([(2**62, 2**60), (2**62 - 1, 1)])
def test_spread_of_as_many_rows_as_can_be_counted_is_exact_and_finite(groups):
    """Groups of equal values: `times` rows of each."""
    n = sum(times for _, times in groups)
    total, squares = (
        sum(v * times for v, times in groups),
        sum(v * v * times for v, times in groups),
    )
    exact = n * squares - total * total
    assert abs(Fraction(spread_of(n, total, squares)) - exact) <= Fraction(exact) / 2**51
