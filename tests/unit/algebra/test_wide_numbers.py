"""128-bit words against Python's integers."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from twinstream.algebra.compiled import wide

wide_numbers = st.integers(-(2**127), 2**127 - 1) | st.integers(-(2**65), 2**65) | st.sampled_from([0, -1, 2**64, 2**127 - 1, -(2**127)])
stored = st.integers(-(2**62), 2**62)


def words_of(value: int) -> list[int]:
    return [int(w) for w in np.frombuffer(value.to_bytes(16, "little", signed=True), np.int64)]


@settings(max_examples=300, deadline=None)
@given(wide_numbers, wide_numbers)
@example(2**127 - 1, 1)
@example(-(2**127), -1)
def test_sum_is_exact_or_refused(a, b):
    words = np.array(words_of(a), np.int64)
    fits = -(2**127) <= a + b < 2**127
    assert wide.add128(words, 0, *words_of(b)) == fits
    assert words.tolist() == words_of(a + b if fits else a)


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
    found = wide.spread(n, *words_of(total), *words_of(squares))
    assert abs(Fraction(found) - exact) <= Fraction(exact) / 2**51
