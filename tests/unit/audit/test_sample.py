"""What the naive comparison of answers finds, where the full one has the fault on both sides."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from preprocess_svc.batch.folding.pruning import complete_since, prune
from twinstream import Int, Source, String, Timestamp, View, count, sum_
from twinstream.algebra import kernel
from twinstream.algebra.plan import ViewPlan
from twinstream.audit.compare import Served, compare, expected
from twinstream.audit.everything import Known
from twinstream.audit.sample import Sampled, check

DAY = 86_400_000_000
NOW = 1_790_000_000_000_000
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
    features={"count": count().over("1h", "3d", "30d", "all"), "sum": sum_("n").over("3d")},
)
PLAN = ViewPlan(VIEW)


def known(count: int) -> list[Known]:
    rows = [{"id": i, "who": f"w{i % 5}", "at": NOW - i * DAY // 7, "n": i} for i in range(count)]
    return [
        Known(row, i, b"%d" % i, 1, 0, log_partition=0, log_offset=i) for i, row in enumerate(rows)
    ]


def served(rows: list[Known], as_of_us: int, pruned_us: int | None = None) -> Served:
    """A partition that holds these rows; `pruned_us`: pruned as of then, whatever it says."""
    since = complete_since(PLAN, as_of_us)
    batch = pa.RecordBatch.from_pylist([k.record for k in rows], schema=SOURCE.schema)
    states = prune(
        kernel.lift(PLAN, batch, np.array([k.position for k in rows], np.int64)),
        complete_since(PLAN, pruned_us or as_of_us),
    )
    return Served("v", 0, 1, {0: 10**9}, since, dict(zip(states.keys, states.blobs(), strict=True)))


def checked(found: Served, rows: list[Known]) -> Sampled:
    return check(VIEW, found, rows, 1, NOW)


def test_nothing_is_wrong_with_a_view_that_is_right() -> None:
    rows = known(300)
    found = checked(served(rows, NOW), rows)
    assert found.wrong == []
    assert found.compared >= 5 * 2 * len(VIEW.outputs)


def test_a_view_that_refuses_questions_of_now_is_wrong() -> None:
    """Both sides of the full comparison are pruned as the view says, and agree."""
    rows, ahead = known(300), NOW + 36 * 365 * DAY
    lost = served(rows, ahead)
    assert compare(lost, expected(VIEW, rows, lost, 1)) == []
    (odd,) = checked(lost, rows).wrong
    assert "refuses" in odd.served


def test_tiles_that_are_missing_are_found() -> None:
    rows = known(300)
    assert checked(served(rows, NOW, pruned_us=NOW + 40 * DAY), rows).wrong


def test_a_record_too_many_or_too_few_is_found() -> None:
    rows = known(300)
    assert {odd.key for odd in checked(served(rows[:-1], NOW), rows).wrong} == {"w4"}
    assert {odd.key for odd in checked(served(rows, NOW), rows[1:]).wrong} == {"w0"}


def test_the_work_is_bounded() -> None:
    rows = [
        Known({"id": i, "who": f"w{i % 4000}", "at": NOW, "n": 1}, i, b"", 1, 0, log_partition=0)
        for i in range(8000)
    ]
    assert checked(served(rows, NOW), rows).compared < 2 * 3 * 400 * len(VIEW.outputs)
