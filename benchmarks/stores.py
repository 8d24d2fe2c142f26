"""Stores of a serving view filled by the view's own code, without a broker:
a base of all keys, and speed states of the next epoch.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from predict_svc.view import bases
from predict_svc.view.layout import Base
from predict_svc.view.opening import open_reader, open_store
from predict_svc.view.reader import ViewReader
from preprocess_svc.batch.folding import pruning
from schemas.events import Cut
from schemas.partials import PartialHeader, encode_header
from twinstream.algebra import kernel
from twinstream.algebra.plan import ViewPlan
from twinstream.algebra.state import StateBatch
from twinstream.define import View
from twinstream.mesh.settings import MeshSettings

HOUR_US = 3_600_000_000
OLD_RECORDS, NEW_RECORDS = 20, 3
"""Records of a key in the base (over 30 days) and in the speed states (over the last hour)."""
SLICE = 50_000


def states(
    view: View,
    plan: ViewPlan,
    keys: range,
    each: int,
    from_us: int,
    to_us: int,
    *,
    chunked: bool = False,
) -> StateBatch:
    """States of some keys with `each` records at random moments."""
    dice, n = np.random.default_rng(keys.start + each), len(keys) * each
    numbers = np.repeat(np.arange(keys.start, keys.stop), each)
    batch = pa.RecordBatch.from_pydict(
        {
            "payment_id": [""] * n,
            "account": [f"account-{i:07d}" for i in numbers],
            "paid_at": dice.integers(from_us, to_us, n),
            "cents": dice.integers(1, 10**6, n),
            "merchant": [""] * n,
        },
        schema=view.source.schema,
    )
    return kernel.lift(
        plan, batch, numbers * each + np.tile(np.arange(each), len(keys)), chunked=chunked
    )


def write_base(path: Path, view: View, n_keys: int, cut_us: int) -> None:
    """A base file as the batch layer publishes it."""
    plan, writer = ViewPlan(view), None
    for start in range(0, n_keys, SLICE):
        part = states(
            view,
            plan,
            range(start, min(start + SLICE, n_keys)),
            OLD_RECORDS,
            cut_us - 720 * HOUR_US,
            cut_us,
        )
        part = pruning.prune(part, pruning.complete_since(plan, cut_us))
        table = pa.table(
            {"key": pa.array(part.keys, pa.binary()), "blob": pa.array(part.blobs(), pa.binary())}
        )
        writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
        writer.write_table(table, row_group_size=20_000)
    if writer is not None:
        writer.close()


def filled_reader(data: Path, view: View, n_keys: int) -> tuple[ViewReader, list[bytes], int]:
    """A reader of one partition, its keys, and the moment to ask about."""
    now_us = time.time_ns() // 1000
    folder = data / "view" / view.name / "0"
    store = open_store(folder, ViewPlan(view))
    write_base(data / "base.parquet", view, n_keys, now_us - HOUR_US)
    bases.load(data / "base.parquet", store.bases, bases.file_name(1))
    store.land(Base(epoch=1, file=bases.file_name(1), cut={0: Cut(offset=0, raw_high=0)}))
    for number, start in enumerate(range(0, n_keys, SLICE), 1):
        keys = range(start, min(start + SLICE, n_keys))
        part = states(
            view, ViewPlan(view), keys, NEW_RECORDS, now_us - HOUR_US, now_us, chunked=True
        )
        header = PartialHeader(
            origin_partition=0,
            origin_offset=number,
            previous=number - 1,
            epoch=2,
            raw_high=number,
            rows=len(keys) * NEW_RECORDS,
            keys=len(keys),
        )
        store.apply([(number, part.to_bytes(encode_header(header)))])
    store.set_whole()
    reader = open_reader(MeshSettings(pipeline="none", data=str(data), partitions=1), view)
    return reader, [f"account-{i:07d}".encode() for i in range(n_keys)], now_us
