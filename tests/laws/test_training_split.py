"""A row is for training, for validation or for the test, and everybody agrees which it is."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from train_svc.training import bounds
from twinstream.protocol.training_columns import AT
from twinstream.protocol.training_split import Split, split_by_time
from twinstream.protocol.training_statistics import (
    LabelSummary,
    TrainingStatistics,
    decode,
    encode,
)

times = st.lists(st.integers(0, 12), min_size=1, max_size=40).map(sorted)
splits = st.tuples(st.integers(0, 12), st.integers(0, 12)).map(lambda ends: Split(*sorted(ends)))


@given(at=times, split=splits)
def test_statistics_are_fitted_on_the_very_rows_that_are_trained_on(
    at: list[int], split: Split
) -> None:
    """The batch layer counts by `trains`, the trainer cuts by what it reads from the document."""
    published = decode(encode(statistics(split)))
    first, _ = bounds(pa.table({AT: at}), {"split": {**as_dict(published.split)}})
    trained = np.arange(len(at)) < first
    assert trained.tolist() == split.trains(np.array(at)).tolist()


def as_dict(split: Split | None) -> dict[str, int]:
    assert split is not None
    return {
        "train_until_us": split.train_until_us,
        "validation_until_us": split.validation_until_us,
    }


def statistics(split: Split) -> TrainingStatistics:
    label = LabelSummary(count=0, mean=0.0)
    return TrainingStatistics(numeric={}, categories={}, sequences={}, label=label, split=split)


@given(at=times, split=splits)
def test_parts_follow_each_other_and_no_time_is_in_two(at: list[int], split: Split) -> None:
    first, second = split.ends(np.array(at))
    assert 0 <= first <= second <= len(at)
    parts = [set(at[:first]), set(at[first:second]), set(at[second:])]
    assert sum(map(len, parts)) == len(set(at))


@given(at=times)
def test_shares_are_met_as_nearly_as_times_allow(at: list[int]) -> None:
    moments, counts = np.unique(at, return_counts=True)
    first, second = split_by_time(moments, counts).ends(np.array(at))
    largest = counts.max()
    assert 0.7 * len(at) <= first < 0.7 * len(at) + largest + 1
    assert 0.85 * len(at) - 1e-9 <= second < 0.85 * len(at) + largest + 1
