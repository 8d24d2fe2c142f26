"""The greatest values and counts: exact as long as rows can be counted, null beyond,
never an exception.
"""

from __future__ import annotations

import math
import random
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from twinstream import (
    Decimal,
    Int,
    Source,
    String,
    Timestamp,
    View,
    count,
    count_by,
    distinct,
    maximum,
    mean,
    quantile,
    share,
    std,
    sum_,
    variance,
)
from twinstream.algebra import fold, kernel
from twinstream.algebra.errors import StateFormError
from twinstream.algebra.layout import COUNT_MASK, FULL
from twinstream.algebra.pit import Events, Spine, point_in_time
from twinstream.algebra.plan import ViewPlan
from twinstream.algebra.state import StateBatch

ROW = 2  # words before the first slot
MOST = 2**62
stored = st.integers(-MOST, MOST) | st.sampled_from([MOST, -MOST, MOST - 1, 0])


def plan_of(aggregate, places=0) -> ViewPlan:
    fields = {"id": String(), "at": Timestamp(), "size": Decimal(places) if places else Int()}
    source = Source("s", id="id", key="id", event_time="at", fields=fields)
    return ViewPlan(View("v", source, by="id", features={"x": aggregate.over("all")}))


def rows_of(values):
    return [{"id": "k", "at": 0, "size": value} for value in values]


def state_of(plan, values) -> StateBatch:
    batch = pa.RecordBatch.from_pylist(rows_of(values), schema=plan.view.source.schema)
    return kernel.lift(plan, batch, np.arange(len(values)))


def with_words(state, changes):
    for at, word in changes.items():
        state.words[at] = word
    return state


def answers_of(plan, values) -> list[float]:
    """One question after all values, asked of every interpreter."""
    state, moment = state_of(plan, values), np.zeros(1, np.int64)
    merged = kernel.merge(plan, [state_of(plan, values[:3]), state_of(plan, values[3:])])
    batch = pa.RecordBatch.from_pylist(rows_of(values), schema=plan.view.source.schema)
    events = Events(batch, np.arange(len(values)), np.zeros(len(values), np.int64))
    records = [(row, i) for i, row in enumerate(rows_of(values))]
    assert fold.fold(plan.view, records) == {b"k": state.blob(0)} == {b"k": merged.blob(0)}
    return [
        kernel.read(plan, state.words, 0)[0],
        kernel.read(plan, merged.words, 0)[0],
        point_in_time(plan, events, Spine([b"k"], moment))[0, 0],
        fold.answers(plan.view, records, b"k", 0)[0],
    ]


@pytest.mark.parametrize(
    ("values", "places"),
    [
        ([MOST] * 8, 2),
        ([MOST, -MOST] * 4, 2),
        ([100 * 10**15] * 17_014 + [101 * 10**15], 15),
        ([10**6 * 10**12] * 171, 12),
        ([-MOST] * 3 + [MOST] * 2 + [0], 0),
    ],
)
def test_spread_of_legal_values_is_exact_where_squares_pass_128_bits(values, places):
    n, unit = len(values), 10**places
    exact = Fraction(n * sum(v * v for v in values) - sum(values) ** 2, n * n * unit * unit)
    for found in answers_of(plan_of(variance("size"), places), values):
        assert abs(Fraction(found) - exact) <= exact / 2**50
    for found in answers_of(plan_of(std("size"), places), values):
        assert abs(found - math.sqrt(exact)) <= math.sqrt(exact) / 2**49


@settings(max_examples=100, deadline=None)
@given(st.lists(stored, min_size=1, max_size=12))
def test_every_interpreter_has_one_answer_for_extreme_values(values):
    for aggregate in (std, variance, mean, sum_, maximum):
        found = answers_of(plan_of(aggregate("size")), values)
        assert all(math.isfinite(value) for value in found)
        assert len(set(found)) == 1


def words_of(value, size):
    return np.frombuffer((value % 2 ** (64 * size)).to_bytes(8 * size, "little"), np.int64).tolist()


def merged_anyhow(plan, states, chance):
    states = list(states)
    while len(states) > 1:
        chance.shuffle(states)
        n = chance.randint(2, len(states))
        states = [kernel.merge(plan, states[:n]), *states[n:]]
    return states[0]


halves = st.integers(-(2**126), 2**126) | st.sampled_from(
    [2**126, -(2**126), 2**127 - 1, -(2**127)]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(halves, min_size=1, max_size=9), st.integers(0, 2**32))
@example([2**127 - 1, 2**127 - 1, -(2**127 - 1), -(2**127 - 1)], 0)
def test_sum_that_leaves_128_bits_on_the_way_is_exact_in_every_merge_tree(sums, seed):
    """No real rows reach so far: the words are written by hand.

    What counts is the total alone, never a partial sum.
    """
    plan = plan_of(sum_("size"))
    total = sum(sums)
    sums = [*sums, -total + 12_345]  # the total comes back, whatever the way
    states = [with_words(state_of(plan, [1]), dict(enumerate(words_of(s, 2), ROW))) for s in sums]
    merged = merged_anyhow(plan, states, random.Random(seed))
    assert kernel.read(plan, merged.words, 0)[0] == 12_345
    assert kernel.read(plan, np.concatenate([s.words for s in states]), 0)[0] == 12_345


FULL_COUNTS = [
    (count(), ROW, FULL),
    (count_by("size", [5, 7]), ROW, FULL),
    (share(lambda r: r.size < 3), ROW + 1, FULL),
    (sum_("size"), ROW + 2, FULL),
    (mean("size"), ROW + 2, FULL),
    (std("size"), ROW + 2, FULL),
    (quantile("size", 0.5), ROW + 1, 2004 << 48 | COUNT_MASK),
]


@pytest.mark.parametrize(
    ("aggregate", "place", "full"), FULL_COUNTS, ids=[a.kind for a, _, _ in FULL_COUNTS]
)
@pytest.mark.parametrize("less", [0, 1, 2])
def test_full_count_answers_null_in_every_merge_tree(aggregate, place, full, less):
    """A count that cannot count further stays where it is, and absorbs whatever it is merged
    with.
    """
    plan = plan_of(aggregate)
    states = [
        state_of(plan, [1]),
        with_words(state_of(plan, [1]), {place: full - less}),
        state_of(plan, [1, 5]),
    ]
    trees = {merged_anyhow(plan, states, random.Random(seed)).to_bytes() for seed in range(12)}
    assert len(trees) == 1
    merged = StateBatch.from_bytes(trees.pop())
    assert merged.words[place] == full or aggregate.kind in ("count_by", "quantile")
    found = kernel.read(plan, merged.words, 0)
    assert (
        found.tobytes() == kernel.read(plan, np.concatenate([s.words for s in states]), 0).tobytes()
    )
    if aggregate.kind != "count_by" or less < 2:
        assert np.isnan(found[0])


def test_last_count_before_the_full_one_still_answers():
    plan = plan_of(count())
    states = [with_words(state_of(plan, [1]), {ROW: FULL - 3}), state_of(plan, [1, 2])]
    assert kernel.read(plan, kernel.merge(plan, states).words, 0)[0] == float(FULL - 1)


def test_registers_that_no_values_can_fill_answer_null():
    plan = plan_of(distinct("size"))
    blob = np.array([3 << 40, 3 + 4096, 4096, *(i << 48 | 53 for i in range(4096))], np.int64)
    assert np.isnan(kernel.read(plan, blob, 0)[0])


@pytest.mark.parametrize("entry", [-1, 4096 << 48 | 1, -(2**63), 2**63 - 1])
@pytest.mark.parametrize("aggregate", [distinct("size"), quantile("size", 0.5)])
def test_entry_of_no_id_is_refused(aggregate, entry):
    """It would be written beside the table of ids."""
    with pytest.raises(StateFormError):
        kernel.read(plan_of(aggregate), np.array([3 << 40, 4, 1, entry], np.int64), 0)


@pytest.mark.parametrize("entry", [4007 << 48 | 1, 4095 << 48 | COUNT_MASK - 1, 4095 << 48 | 2**40])
@pytest.mark.parametrize("aggregate", [distinct("size"), quantile("size", 0.5)])
def test_entry_of_no_bucket_or_rank_has_no_infinite_answer(aggregate, entry):
    found = kernel.read(plan_of(aggregate), np.array([3 << 40, 4, 1, entry], np.int64), 0)[0]
    assert math.isnan(found) or math.isfinite(found)


@pytest.mark.parametrize(
    "words",
    [
        [0],
        [0, 4, 1],
        [3 << 40, 99, 0],
        [3 << 40, 2],
        [7 << 40, 3, 1],
        [1 << 40, 3, 1],
        [3 << 40, -3, 1],
    ],
)
def test_words_that_are_no_state_are_refused(words):
    plan = plan_of(count())
    bad = np.array(words, np.int64)
    with pytest.raises(StateFormError, match="view 'v'"):
        kernel.read(plan, bad, 0)
    with pytest.raises(StateFormError):
        kernel.merge(plan, [StateBatch.of([b"k"], [bad.tobytes()])])
    with pytest.raises(StateFormError):
        kernel.split_chunks(plan, StateBatch.of([b"k"], [bad.tobytes()]))


@pytest.mark.parametrize("cut", [0, 3, 5, 20, -1, -8])
def test_bytes_that_are_cut_short_are_refused(cut):
    data = state_of(plan_of(count()), [1]).to_bytes()
    with pytest.raises(StateFormError):
        StateBatch.from_bytes(data[:cut])
