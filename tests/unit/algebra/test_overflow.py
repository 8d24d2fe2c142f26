"""What does not fit is refused with a clear error; it never wraps."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from twinstream import Int, Source, String, Timestamp, View, count, quantile, sum_, variance
from twinstream.algebra import fold, kernel
from twinstream.algebra.errors import StateFormError, StateOverflowError
from twinstream.algebra.pit import Events, Spine, point_in_time
from twinstream.algebra.plan import ViewPlan
from twinstream.algebra.state import StateBatch
from twinstream.errors import MeshError

source = Source("s", id="id", key="id", event_time="at", fields={"id": String(), "at": Timestamp(), "size": Int()})
ROW = 2  # words before the first slot


def plan_of(aggregate) -> ViewPlan:
    return ViewPlan(View("v", source, by="id", features={"x": aggregate.over("all")}))


def batch_of(values):
    return pa.RecordBatch.from_pylist([{"id": "k", "at": 0, "size": value} for value in values], schema=source.schema)


def state_of(plan, values) -> StateBatch:
    return kernel.lift(plan, batch_of(values), np.arange(len(values)))


def with_words(state, changes):
    for at, word in changes.items():
        state.words[at] = word
    return state


def test_squares_past_128_bits_are_refused_by_kernel_fold_and_sweep():
    plan = plan_of(variance("size"))
    values = [2**62, -(2**62)] * 4
    assert kernel.read(plan, state_of(plan, values[:7]).words, 0)[0] == pytest.approx(2.0**124, rel=0.05)
    with pytest.raises(StateOverflowError, match="view 'v': a sum passed 128 bits"):
        state_of(plan, values)
    with pytest.raises(StateOverflowError):
        fold.fold(plan.view, [({"id": "k", "at": 0, "size": v}, i) for i, v in enumerate(values)])
    with pytest.raises(StateOverflowError):
        point_in_time(plan, Events(batch_of(values), np.arange(8), np.zeros(8, np.int64)), Spine([b"k"], np.zeros(1, np.int64)))


@pytest.mark.parametrize(
    ("aggregate", "full"),
    [
        (count(), {ROW: 2**63 - 1}),
        (sum_("size"), {ROW: -1, ROW + 1: 2**63 - 1}),
        (quantile("size", 0.5), {ROW + 1: 2004 << 48 | 2**48 - 1}),
    ],
    ids=["64 bits", "128 bits", "48 bits"],
)
def test_merge_and_read_of_a_full_state_are_refused_and_leave_it_as_it_was(aggregate, full):
    plan = plan_of(aggregate)
    one, most = state_of(plan, [1]), with_words(state_of(plan, [1]), full)
    before = most.to_bytes()
    with pytest.raises(StateOverflowError) as refused:
        kernel.merge(plan, [most, one])
    assert isinstance(refused.value, (MeshError, OverflowError))
    with pytest.raises(StateOverflowError):
        kernel.read(plan, np.concatenate([one.words, most.words]), 0)
    assert most.to_bytes() == before


@pytest.mark.parametrize("words", [[0], [0, 4, 1], [3 << 40, 99, 0], [3 << 40, 2], [7 << 40, 3, 1], [1 << 40, 3, 1], [3 << 40, -3, 1]])
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
