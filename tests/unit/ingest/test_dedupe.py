"""Which ids are new, against the plain rule."""

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from ingest_svc.dedupe import RecentIds

calls = st.lists(
    st.tuples(st.integers(0, 8), st.lists(st.integers(0, 6), min_size=1, max_size=6)), max_size=40
)


@given(calls=calls, horizon=st.integers(1, 20), cut=st.integers(0, 40))
def test_an_id_is_new_when_it_was_not_logged_within_the_horizon(calls, horizon, cut) -> None:
    recent, now, logged = RecentIds(horizon), 0, []
    last: dict[int, int] = {}
    for number, (pause, ids) in enumerate(calls):
        if number == cut:
            recent = RecentIds(horizon)
            for record_id, known in logged:
                recent.restore(pa.array([b"%d" % record_id]), np.array([known]))
        now += pause
        new = recent.add(pa.array([b"%d" % i for i in ids]), np.full(len(ids), now))
        for record_id, is_new in zip(ids, new.tolist(), strict=True):
            assert is_new == (record_id not in last or now - last[record_id] > horizon)
            if is_new:
                last[record_id] = now
                logged.append((record_id, now))


def test_memory_is_bounded_and_what_was_forgotten_early_is_counted() -> None:
    recent = RecentIds(10**12, limit=1000)
    for k in range(100):
        recent.add(pa.array([b"%d" % i for i in range(k * 100, k * 100 + 100)]), np.full(100, k))
    assert len(recent) <= 1200
    assert recent.forgotten == 10_000 - len(recent)


def test_everything_is_new_when_the_horizon_is_zero() -> None:
    assert RecentIds(0).add(pa.array([b"a", b"a"]), np.array([1, 1])).tolist() == [True, True]
