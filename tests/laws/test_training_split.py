"""A row is for training, for validation, for the test or for none, and everybody agrees which it
is.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from train_svc.rows import split_rows
from twinstream.define.time_split import TimeSplit
from twinstream.protocol.training_columns import AT
from twinstream.protocol.training_manifest import spans_of
from twinstream.protocol.training_split import PARTS, Split, declared_split
from twinstream.protocol.training_statistics import (
    LabelSummary,
    TrainingStatistics,
    decode,
    encode,
)

times = st.lists(st.integers(0, 12), min_size=1, max_size=40).map(sorted)
ends = st.tuples(st.integers(0, 12), st.integers(0, 12)).map(sorted)
splits = st.builds(lambda both, purged: Split(*both, purged), ends, st.integers(0, 5))


@given(at=times, split=splits)
def test_statistics_are_fitted_on_the_very_rows_that_are_trained_on(
    at: list[int], split: Split
) -> None:
    """The batch layer counts by `trains`, the trainer cuts by what it reads from the document."""
    published: dict[str, Any] = msgspec.to_builtins(decode(encode(statistics(split))))
    train = split_rows(pa.table({AT: at}), published).train
    trained = np.isin(np.arange(len(at)), list(train))
    assert trained.tolist() == split.trains(np.array(at)).tolist()


def statistics(split: Split) -> TrainingStatistics:
    label = LabelSummary(count=0, mean=0.0)
    return TrainingStatistics(numeric={}, categories={}, sequences={}, label=label, split=split)


@given(at=times, split=splits)
def test_no_outcome_of_a_part_is_seen_by_the_one_before(at: list[int], split: Split) -> None:
    """An outcome is known up to the purged span after its question, and every row that is in no
    part is there for that reason.
    """
    parts = split.parts(np.array(at))
    rows = [row for part in parts for row in part]
    assert rows == sorted(set(rows))
    for part, until in zip(parts, (split.train_until_us, split.validation_until_us), strict=False):
        assert all(at[row] + split.purged_us <= until for row in part)
    for row in set(range(len(at))) - set(rows):
        end = next(e for e in (split.train_until_us, split.validation_until_us) if at[row] <= e)
        assert at[row] + split.purged_us > end


@given(at=times, split=splits)
def test_the_manifest_has_the_rows_of_each_part(at: list[int], split: Split) -> None:
    moments, counts = np.unique(at, return_counts=True)
    parts = split.parts(np.array(at))
    spans = spans_of(split, moments, counts)
    assert [range(*spans[part]) for part in PARTS] == list(parts)


@given(at=times, shares=st.sampled_from([(0.7, 0.15), (0.5, 0.25), (0.01, 0.01)]))
def test_shares_are_met_as_nearly_as_times_allow(
    at: list[int], shares: tuple[float, float]
) -> None:
    moments, counts = np.unique(at, return_counts=True)
    split = declared_split(TimeSplit(*shares, purged="0s"), 3, moments, counts)
    parts = split.parts(np.array(at))
    largest = counts.max()
    for part, share in ((parts.train, shares[0]), (parts.validation, sum(shares))):
        assert share * len(at) - 1e-9 <= part.stop < share * len(at) + largest + 1


def test_what_is_purged_is_the_horizon_unless_it_is_declared() -> None:
    at, counts = np.array([1, 2, 3, 4]), np.ones(4, np.int64)
    assert declared_split(TimeSplit(), 5, at, counts).purged_us == 5
    assert declared_split(TimeSplit(purged="2s"), 5, at, counts).purged_us == 2_000_000
    moments = TimeSplit("1970-01-01T00:00:01Z", "1970-01-01T01:00:02+01:00")
    assert declared_split(moments, 5, at, counts) == Split(1_000_000, 2_000_000, 5)
