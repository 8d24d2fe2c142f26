"""The error bounds that the documentation promises, and the scalar and vectorised forms of both
sketches.
"""

from __future__ import annotations

import math
from fractions import Fraction

import datasketches
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twinstream.algebra import buckets, layout, registers
from twinstream.algebra.aggregates import distinct
from twinstream.algebra.aggregates.quantile import MOST_VALUES, as_written, below, rank_of, ranked

stored = st.integers(-(2**62), 2**62) | st.integers(-2000, 2000)


@settings(max_examples=100, deadline=None)
@given(st.lists(stored, min_size=1, max_size=50))
def test_what_stands_for_a_bucket_is_within_one_per_cent(values):
    found = buckets.buckets(np.array(values, np.int64))
    assert found.tolist() == [buckets.bucket(value) for value in values]
    for value, bucket in zip(values, found, strict=True):
        stands = buckets.values()[bucket]
        assert abs(stands - value) <= abs(value) * 0.01
        assert stands == value or abs(value) > 57


def test_bucket_bounds_are_exact_integers():
    bounds = buckets.bounds()
    powers = {101**i // 99**i for i in range(2200)}
    assert bounds[0] == 1
    assert bounds[-1] >= 2**62 > bounds[-2]
    assert powers.issuperset(bounds)
    assert buckets.bucket(2**62) < buckets.size() < 2**13


@pytest.mark.parametrize("q", [0.01, 0.5, 0.9, 0.999])
def test_quantile_is_within_one_per_cent_of_the_value_of_its_rank(q):
    values = np.sort((np.random.default_rng(7).gamma(0.7, 90_000, 5000) - 20_000).astype(np.int64))
    ids, counts = np.unique(buckets.buckets(values), return_counts=True)
    exact = values[math.floor(q * (len(values) - 1))]
    bucket = ranked(ids << 48 | counts, *as_written(q).as_integer_ratio())
    found = buckets.values()[bucket]
    assert abs(found - exact) <= 0.01 * abs(exact)


def rank_as_written(q: float, last: int) -> int:
    return rank_of(*below(as_written(q), MOST_VALUES).as_integer_ratio(), last)


@pytest.mark.parametrize(
    "q", [n / 100 for n in range(1, 100)] + [0.001, 0.999, 0.0625, 1 / 3, 1e-9, 0.9999]
)
def test_rank_is_that_of_the_decimal_as_written_up_to_two_thousand_values(q):
    exact = Fraction(repr(q))
    assert [rank_as_written(q, n - 1) for n in range(1, 2001)] == [
        math.floor(exact * (n - 1)) for n in range(1, 2001)
    ]


@settings(max_examples=300, deadline=None)
@given(st.floats(5e-324, 1, exclude_max=True), st.integers(0, 2**62) | st.integers(0, 1000))
def test_rank_is_exact_for_every_q_and_every_count(q, last):
    """Also where q has more decimals than a word holds."""
    assert rank_as_written(q, last) == math.floor(Fraction(repr(q)) * last)


@pytest.mark.parametrize(("q", "last", "right"), [(0.29, 100, 29), (0.58, 50, 29), (0.7, 90, 63)])
def test_rank_is_not_that_of_the_binary_fraction(q, last, right):
    assert int(q * last) == right - 1
    assert rank_as_written(q, last) == right


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=20), max_size=20), st.lists(stored, max_size=20))
def test_registers_of_columns_equal_registers_one_by_one(texts, numbers):
    assert registers.registers(pa.array(texts, pa.string())).tolist() == [
        registers.register(text) for text in texts
    ]
    assert registers.registers(np.array(numbers, np.int64)).tolist() == [
        registers.register(number) for number in numbers
    ]


def test_hash_is_the_published_murmurhash64a(monkeypatch):
    monkeypatch.setattr(registers, "SEED", 0)
    assert registers.murmur64(b"") == 0
    assert registers.murmur64(b"hello") == 0x1E68D17C457BF117


def estimate(values: np.ndarray) -> float:
    words = registers.registers(values)
    index, rank = words >> 48, words & 0xFFFF
    best = np.zeros(layout.REGISTERS, np.int64)
    np.maximum.at(best, index, rank)
    used = np.flatnonzero(best)
    return float(distinct.estimate(used << 48 | best[used]))


@pytest.mark.parametrize("n", [0, 1, 10, 100, 1000, 5000, 20_000, 100_000, 1_000_000])
def test_distinct_stays_within_four_standard_errors(n):
    assert abs(estimate(np.arange(n)) - n) <= 4 * 1.04 / math.sqrt(layout.REGISTERS) * n


def test_distinct_errs_no_more_than_the_sketch_of_datasketches():
    ours, theirs = [], []
    for seed in range(20):
        values = np.random.default_rng(seed).integers(0, 2**60, 30_000)
        n = len(np.unique(values))
        union = datasketches.hll_union(12)
        for part in np.array_split(values, 4):
            sketch = datasketches.hll_sketch(12, datasketches.tgt_hll_type.HLL_8)
            for value in part.tolist():
                sketch.update(value)
            union.update(sketch)
        ours.append(estimate(values) / n - 1)
        theirs.append(union.get_estimate() / n - 1)
    ours_rms, theirs_rms = (math.sqrt(np.mean(np.square(errors))) for errors in (ours, theirs))
    assert ours_rms < 1.3 * 1.04 / math.sqrt(layout.REGISTERS)
    assert ours_rms < 1.5 * theirs_rms
