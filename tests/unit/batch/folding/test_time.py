"""Law 1 with pruning: whatever a clock or a record claims, a question about now is answered,
and as if nothing had been dropped.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preprocess_svc.batch.folding.pruning import complete_since, first_tiles, prune, reaches
from twinstream import Int, Source, String, Timestamp, View, count, last, sum_
from twinstream.algebra import kernel, windows
from twinstream.algebra.fold import answers
from twinstream.algebra.plan import ViewPlan
from twinstream.algebra.state import StateBatch
from twinstream.protocol.known_time import DAY_US, EARLIEST_US, agreed, as_of, known_in_file

SOURCE = Source(
    "orders",
    id="id",
    key="who",
    event_time="at",
    fields={"id": Int(), "who": String(), "at": Timestamp(), "n": Int()},
)
VIEW = View(
    "v",
    SOURCE,
    by="who",
    features={
        "count": count().over("1h", "3d", "30d", "all"),
        "sum": sum_("n").over("1h", "30d"),
        "last": last("n").over("3d"),
    },
)
PLAN = ViewPlan(VIEW)
NOW = 1_790_000_000_000_000
YEARS = 36 * 365 * DAY_US
Record = tuple[dict[str, object], int]


def record(number: int, at_us: int) -> Record:
    return {"id": number, "who": f"w{number % 3}", "at": at_us, "n": number}, number


def lift(records: list[Record], since: dict[int, int]) -> StateBatch:
    batch = pa.RecordBatch.from_pylist([r for r, _ in records], schema=SOURCE.schema)
    return kernel.lift(
        PLAN, batch, np.array([p for _, p in records], np.int64), since=first_tiles(since)
    )


class Batch:
    """The batch layer's chain of bases, without engines: each on the one before, or whole where
    that one lacks tiles.
    """

    def __init__(self, poisoned_us: int = EARLIEST_US) -> None:
        self.records: list[Record] = []
        self.as_of_us = poisoned_us
        self.since = complete_since(PLAN, poisoned_us)
        self.states = StateBatch.empty()

    def land(self, new: list[Record], now_us: int) -> None:
        self.records += new
        known = [known_in_file(int(str(r["at"])), now_us) for r, _ in new]
        halves = [max(known[half::2], default=None) for half in (0, 1)]
        self.as_of_us = as_of(self.as_of_us, [agreed(halves)], now_us)
        since = complete_since(PLAN, self.as_of_us)
        if reaches(self.since, since):
            merged = kernel.merge(PLAN, [self.states, lift(new, since)])
        else:
            merged = lift(self.records, since)
        self.states, self.since = prune(merged, since), since

    def kept_from_us(self) -> int:
        return max(
            self.since[hop.hop] * windows.HOP_US[hop.hop] + windows.length_us(hop.windows[-1])
            for hop in PLAN.hops
            if hop.hop != windows.ALL
        )

    def read(self, key: bytes, at_us: int) -> list[float]:
        """Raises AssertionError where a reader would be refused with 409."""
        assert at_us >= self.kept_from_us()
        blobs = [
            blob for k, blob in zip(self.states.keys, self.states.blobs(), strict=True) if k == key
        ]
        return kernel.read(PLAN, np.frombuffer(b"".join(blobs), np.int64), at_us).tolist()


moments = st.one_of(
    st.integers(NOW - 80 * DAY_US, NOW),
    st.integers(NOW - 2 * 3_600_000_000, NOW),
    st.integers(NOW, NOW + 9 * DAY_US),
    st.sampled_from([NOW + YEARS, NOW - YEARS]),
)


@settings(max_examples=150, deadline=None)
@given(
    epochs=st.lists(st.lists(moments, max_size=8), min_size=1, max_size=5),
    poisoned=st.sampled_from([EARLIEST_US, NOW + YEARS, NOW + 3 * DAY_US]),
)
def test_a_question_about_now_is_answered_as_if_nothing_was_pruned(
    epochs: list[list[int]], poisoned: int
) -> None:
    batch, number = Batch(poisoned), 0
    for epoch, moments in enumerate(epochs):
        new = [record(number + i, at_us) for i, at_us in enumerate(moments)]
        number += len(new)
        now_us = NOW + epoch * DAY_US
        batch.land(new, now_us)
        for key in (b"w0", b"w1", b"w2"):
            for at_us in (now_us, now_us + 5, now_us - DAY_US, now_us + 40 * DAY_US):
                np.testing.assert_array_equal(
                    batch.read(key, at_us), answers(VIEW, batch.records, key, at_us)
                )


@pytest.mark.parametrize("ahead", [3 * DAY_US, YEARS])
def test_ten_orders_of_today_count_beside_one_that_is_dated_ahead(ahead: int) -> None:
    records = [({"id": i, "who": "w", "at": NOW - i, "n": 1}, i) for i in range(10)]
    records.append(({"id": 10, "who": "w", "at": NOW + ahead, "n": 1}, 10))
    batch = Batch()
    batch.land(records, NOW)  # type: ignore[arg-type]
    in_1h, in_3d, in_30d, in_all = batch.read(b"w", NOW)[:4]
    assert (in_1h, in_3d, in_30d, in_all) == (10, 10, 10, 11)
    assert batch.as_of_us <= NOW


@pytest.mark.parametrize("first", [-7_000 * DAY_US, -1, 0, EARLIEST_US, NOW])
def test_ten_orders_of_any_year_count_where_nothing_newer_is_known(first: int) -> None:
    """Also those of 1950: no time is not 1970."""
    batch = Batch()
    batch.land(
        [({"id": i, "who": "w", "at": first + i, "n": 1}, i) for i in range(10)], NOW + DAY_US
    )  # type: ignore[arg-type]
    assert batch.as_of_us == first + 9
    assert batch.read(b"w", first + 9)[:4] == [10, 10, 10, 10]


def test_a_base_that_was_pruned_too_far_is_not_built_on() -> None:
    ahead, now = complete_since(PLAN, NOW + YEARS), complete_since(PLAN, NOW)
    assert reaches(now, ahead)
    assert not reaches(ahead, now)
    assert reaches(now, now)
