"""Base files: two sorted streams become one, whatever their parts; what lies before the kept time is dropped."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from preprocess_svc.batch import base_file, merging
from preprocess_svc.batch.base_file import BaseWriter
from preprocess_svc.batch.merging import grouped, merged
from preprocess_svc.batch.pruning import complete_since, prune
from twinstream import Int, Source, String, Timestamp, View, count, last_k, quantile, sum_
from twinstream.algebra import kernel
from twinstream.algebra.fold import fold
from twinstream.algebra.plan import ViewPlan
from twinstream.algebra.state import StateBatch
from twinstream.audit.compare import prune as plain_prune

SALES = Source("sales", id="id", key="shop", event_time="at", fields={"id": String(), "shop": String(), "at": Timestamp(), "n": Int(optional=True)})
VIEW = View("by-shop", SALES, by="shop", features={
    "n": sum_("n").over("1h", "24h", "30d", "all"), "rows": count().over("1h"), "median": quantile("n", 0.5).over("24h"), "recent": last_k("n", 3).over("3d")})
PLAN = ViewPlan(VIEW)
DAY = 86_400_000_000
NOW = 16_000 * DAY


def records(number: int, seed: int) -> list[tuple[dict[str, object], int]]:
    chance = random.Random(seed)
    made = [{"id": str(i), "shop": f"s{chance.randrange(30)}", "at": NOW - chance.randrange(90 * DAY), "n": chance.choice([None, i])} for i in range(number)]
    return [(record, seed * 10_000 + i) for i, record in enumerate(made)]


def states(of: list[tuple[dict[str, object], int]]) -> StateBatch:
    batch = pa.RecordBatch.from_pylist([r for r, _ in of], schema=SALES.schema)
    return kernel.lift(PLAN, batch, np.array([p for _, p in of], np.int64))


def entries(*batches: StateBatch) -> list[tuple[bytes, bytes]]:
    return sorted(pair for batch in batches for pair in zip(batch.keys, batch.blobs(), strict=True))


@pytest.mark.parametrize("part", [1, 4, 1000])
def test_merging_in_parts_equals_one_fold(part: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merging, "PART", part)
    old, new, more = records(150, 1), records(90, 2), records(80, 3)
    base = states(old)
    runs = [base.take(np.arange(i, min(i + part, len(base)))) for i in range(0, len(base), part)]
    result = list(merged(PLAN, iter(runs), iter(entries(states(new), states(more)))))
    have = {key: blob for batch in result for key, blob in zip(batch.keys, batch.blobs(), strict=True)}
    assert [key for batch in result for key in batch.keys] == sorted(have)
    assert have == fold(VIEW, [*old, *new, *more])


def test_without_a_base_and_without_news_nothing_comes() -> None:
    assert list(merged(PLAN, iter(()), iter(()))) == []


def test_groups_are_known_by_rows_without_a_key() -> None:
    rows = pa.RecordBatch.from_pydict({"group": [0, 1, 1, 2], "key": [None, None, b"a", None], "blob": [None, None, b"x", None]})
    assert [(group.number, list(group.states)) for group in grouped([rows.slice(0, 2), rows.slice(2)])] == [(0, []), (1, [(b"a", b"x")]), (2, [])]


def test_pruning_drops_what_lies_before_and_nothing_else() -> None:
    since = complete_since(PLAN, NOW)
    full = states(records(400, 5))
    kept = prune(full, since)
    plain = {key: blob for key, raw in zip(full.keys, full.blobs(), strict=True) if (blob := plain_prune(raw, since))}
    assert dict(zip(kept.keys, kept.blobs(), strict=True)) == plain
    assert sum(map(len, plain.values())) < len(full.words) * 8


def test_a_base_keeps_every_tile_that_a_window_at_its_time_takes() -> None:
    everything, since = records(400, 6), complete_since(PLAN, NOW)
    full = states(everything)
    kept = prune(full, since)
    at = np.full(len(full), NOW, np.int64)
    np.testing.assert_array_equal(
        kernel.read_many(PLAN, full.words, full.offsets, at), kernel.read_many(PLAN, kept.words, kept.offsets, at[: len(kept)]))


def test_a_base_file_is_read_back_by_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base_file, "GROUP_ROWS", 8)
    full = states(records(200, 8))
    with BaseWriter(tmp_path / "base") as writer:
        for start in range(0, len(full), 5):
            writer.write(full.take(np.arange(start, min(start + 5, len(full)))))
    file = pq.ParquetFile(tmp_path / "base")
    assert writer.rows == len(full) == file.metadata.num_rows
    assert max(file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)) <= 8
    assert file.read()["blob"].to_pylist() == full.blobs()
