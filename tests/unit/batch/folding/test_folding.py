"""Base files: two sorted streams become one, whatever their parts;
what lies before the kept time is dropped.
"""

from __future__ import annotations

import random
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from preprocess_svc.batch.folding import base_file, lifting, merging
from preprocess_svc.batch.folding.base_file import BaseWriter, from_arrow, to_arrow
from preprocess_svc.batch.folding.fold import Fold
from preprocess_svc.batch.folding.lifting import to_lift
from preprocess_svc.batch.folding.merging import grouped, in_parts, merged
from preprocess_svc.batch.folding.pruning import complete_since, first_tiles, prune
from twinstream import Int, Source, String, Timestamp, View, count, last_k, quantile, sum_
from twinstream.algebra import kernel
from twinstream.algebra.fold import fold
from twinstream.algebra.plan import ViewPlan
from twinstream.algebra.state import StateBatch
from twinstream.audit.compare import prune as plain_prune

SALES = Source(
    "sales",
    id="id",
    key="shop",
    event_time="at",
    fields={"id": String(), "shop": String(), "at": Timestamp(), "n": Int(optional=True)},
)
VIEW = View(
    "by-shop",
    SALES,
    by="shop",
    features={
        "n": sum_("n").over("1h", "24h", "30d", "all"),
        "rows": count().over("1h"),
        "median": quantile("n", 0.5).over("24h"),
        "recent": last_k("n", 3).over("3d"),
    },
)
PLAN = ViewPlan(VIEW)
DAY = 86_400_000_000
NOW = 16_000 * DAY


def records(number: int, seed: int) -> list[tuple[dict[str, object], int]]:
    chance = random.Random(seed)
    made = [
        {
            "id": str(i),
            "shop": f"s{chance.randrange(30)}",
            "at": NOW - chance.randrange(90 * DAY),
            "n": chance.choice([None, i]),
        }
        for i in range(number)
    ]
    return [(record, seed * 10_000 + i) for i, record in enumerate(made)]


def states(of: list[tuple[dict[str, object], int]], **how: Any) -> StateBatch:
    batch = pa.RecordBatch.from_pylist([r for r, _ in of], schema=SALES.schema)
    return kernel.lift(PLAN, batch, np.array([p for _, p in of], np.int64), **how)


def parts_of(*batches: StateBatch, keys: int) -> list[StateBatch]:
    return sorted(
        (part for batch in batches for part in in_parts(batch, keys, 10**6)),
        key=lambda part: part.key(0),
    )


@pytest.mark.parametrize("keys", [1, 4, 1000])
@pytest.mark.parametrize("step", [1, 300, 10**6])
def test_merging_in_parts_equals_one_fold(
    keys: int, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merging, "STEP_WORDS", step)
    old, new, more = records(150, 1), records(90, 2), records(80, 3)
    base = parts_of(states(old), keys=keys + 1)
    result = list(merged(PLAN, iter(base), iter(parts_of(states(new), states(more), keys=keys))))
    have = {
        key: blob for batch in result for key, blob in zip(batch.keys, batch.blobs(), strict=True)
    }
    assert [key for batch in result for key in batch.keys] == sorted(have)
    assert have == fold(VIEW, [*old, *new, *more])


def test_without_a_base_and_without_news_nothing_comes() -> None:
    assert list(merged(PLAN, iter(()), iter(()))) == []


def test_groups_are_known_by_rows_without_a_key() -> None:
    some = states(records(5, 4))
    rows = pa.RecordBatch.from_pydict(
        {
            "group": [0, 1, 1, 2],
            "first_key": [None, None, some.key(0), None],
            "part": [None, None, some.to_bytes(), None],
        }
    )
    found = [
        (group.number, [part.to_bytes() for part in group.parts])
        for group in grouped([rows.slice(0, 2), rows.slice(2)])
    ]
    assert found == [(0, []), (1, [some.to_bytes()]), (2, [])]


@pytest.mark.parametrize(
    ("keys", "words"), [(1, 10**6), (3, 10**6), (10**6, 1), (10**6, 50), (10**6, 10**6)]
)
def test_parts_stand_side_by_side_and_hold_no_more_than_allowed(keys: int, words: int) -> None:
    full = states(records(200, 9))
    parts = list(in_parts(full, keys, words))
    assert [key for part in parts for key in part.keys] == full.keys
    assert [blob for part in parts for blob in part.blobs()] == full.blobs()
    assert all(len(part) <= keys and (len(part) == 1 or len(part.words) <= words) for part in parts)
    assert all(
        len(part) + 1 > keys or len(part.words) + len(after.words[: after.offsets[1]]) > words
        for part, after in pairwise(parts)
    )


def test_lifting_from_the_first_kept_tile_on_is_lifting_and_pruning() -> None:
    since, some = complete_since(PLAN, NOW), records(400, 7)
    assert (
        states(some, since=first_tiles(since)).to_bytes() == prune(states(some), since).to_bytes()
    )


def test_pruning_drops_what_lies_before_and_nothing_else() -> None:
    since = complete_since(PLAN, NOW)
    full = states(records(400, 5))
    kept = prune(full, since)
    plain = {
        key: blob
        for key, raw in zip(full.keys, full.blobs(), strict=True)
        if (blob := plain_prune(raw, since))
    }
    assert dict(zip(kept.keys, kept.blobs(), strict=True)) == plain
    assert sum(map(len, plain.values())) < len(full.words) * 8


def test_a_base_keeps_every_tile_that_a_window_at_its_time_takes() -> None:
    everything, since = records(400, 6), complete_since(PLAN, NOW)
    full = states(everything)
    kept = prune(full, since)
    at = np.full(len(full), NOW, np.int64)
    np.testing.assert_array_equal(
        kernel.read_many(PLAN, full.words, full.offsets, at),
        kernel.read_many(PLAN, kept.words, kept.offsets, at[: len(kept)]),
    )


def test_a_base_file_is_read_back_by_row_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base_file, "GROUP_ROWS", 8)
    full = states(records(200, 8))
    with BaseWriter(tmp_path / "base") as writer:
        for start in range(0, len(full), 5):
            writer.write(full.take(np.arange(start, min(start + 5, len(full)))))
    file = pq.ParquetFile(tmp_path / "base")
    assert writer.rows == len(full) == file.metadata.num_rows
    assert max(file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)) <= 8
    assert file.read()["blob"].to_pylist() == full.blobs()
    assert [key for batch in file.iter_batches(8) for key in from_arrow(batch).keys] == full.keys
    assert [
        blob for batch in file.iter_batches(8) for blob in from_arrow(batch).blobs()
    ] == full.blobs()


def test_a_cut_of_a_batch_is_read_as_its_own_states() -> None:
    full = states(records(200, 8))
    cut = from_arrow(to_arrow(full).to_batches()[0].slice(3, 9))
    assert cut.to_bytes() == full.take(np.arange(3, 12)).to_bytes()


def test_the_position_is_read_only_where_it_decides_ties() -> None:
    plain = View(
        "plain", SALES, by="shop", features={"n": sum_("n").over("1h"), "rows": count().over("1h")}
    )
    assert to_lift([plain]) == ["at", "n", "shop"]
    assert to_lift([plain, VIEW]) == ["_position", "at", "n", "shop"]
    assert (ViewPlan(plain).tells_ties, PLAN.tells_ties) == (False, True)


@pytest.mark.parametrize("columns", [None, ["at", "n", "shop"]])
def test_the_parts_of_a_lift_are_the_states_of_its_rows(
    columns: list[str] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifting, "LIFT_WORDS", 600)
    monkeypatch.setattr(lifting, "PART_KEYS", 3)
    view = (
        View("plain", SALES, by="shop", features={"n": sum_("n").over("1h")}) if columns else VIEW
    )
    some = records(100, 11)
    rows = pa.RecordBatch.from_pylist(
        [{**record, "_position": position} for record, position in some]
    )
    rows = rows.select(columns) if columns else rows
    lift = lifting.Lift([Fold(view=view, since={}, before={}, prefix="")], [0], 2)
    found = pa.Table.from_batches(list(lift([rows.slice(0, 60), rows.slice(60)]))).sort_by(
        [("group", "ascending"), ("first_key", "ascending")]
    )
    groups = {
        group.number: list(merged(ViewPlan(view), group.parts))
        for group in grouped(found.to_batches())
    }
    assert groups.keys() == {0, 1}
    assert {
        key: blob
        for batches in groups.values()
        for batch in batches
        for key, blob in zip(batch.keys, batch.blobs(), strict=True)
    } == fold(view, some)
