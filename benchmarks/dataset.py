"""A training set's rows as shuffled batches of tensors, beside reading the same files alone:
`python -m benchmarks.dataset [rows] [columns]`. One process, one thread.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from benchmarks.record import record
from preprocess_svc.batch.settings import BatchSettings
from preprocess_svc.batch.training_sets.assembly import GROUP_ROWS
from twinstream.datasets import dataset
from twinstream.features.inputs import Inputs
from twinstream.mesh.object_store import sha256_of
from twinstream.protocol import training_manifest, training_statistics
from twinstream.protocol.training_columns import AT, ID, LABEL
from twinstream.protocol.training_manifest import (
    ManifestColumn,
    ManifestFile,
    TrainingManifest,
    spans_of,
)
from twinstream.protocol.training_split import split_by_time
from twinstream.protocol.training_statistics import LabelSummary, TrainingStatistics

ROUNDS = 5
BATCH_ROWS = 1024
NOTE = (
    "Rows a second on one thread, the median of five rounds in turns, files in the page cache. "
    "`twinstream`: shuffled in windows, as float32 tensors. `reading alone`: pyarrow decodes the "
    "same columns, and nothing is made of them: the floor. `by hand`: batches of pyarrow, columns "
    "to tensors, not shuffled. Columns are normal numbers, one in ten null, in the files "
    "that the batch layer writes."
)


def main(
    rows: int = 1_000_000,
    columns: int = 20,
) -> None:
    """Measures and records."""
    torch.set_num_threads(1)
    pa.set_cpu_count(1)
    with tempfile.TemporaryDirectory(prefix="twinstream-bench-") as name:
        folder = Path(name)
        inputs = Inputs(tuple(f"v.n{number}" for number in range(columns)))
        write(folder, rows, inputs)
        ways: dict[str, Callable[[], int]] = {
            "twinstream": lambda: count(
                batch.label for batch in dataset(folder=folder).to_torch(BATCH_ROWS)
            ),
            "by hand": lambda: count(by_hand(folder, inputs)),
            "reading alone": lambda: reading(folder, inputs),
        }
        seconds: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(ROUNDS):
            for way, run in ways.items():
                begun = time.perf_counter()
                assert run() == rows
                seconds[way].append(time.perf_counter() - begun)
    found = {way: round(rows / statistics.median(times)) for way, times in seconds.items()}
    figures = {
        "rows": rows,
        "columns": columns,
        "rows_per_s": found,
        "share_of_reading": round(found["twinstream"] / found["reading alone"], 2),
        "ratio_to_by_hand": round(found["twinstream"] / found["by hand"], 2),
    }
    record("dataset", figures, NOTE)


def count(labels: Iterator[Tensor]) -> int:
    """How many rows came by."""
    return sum(len(label) for label in labels)


def by_hand(
    folder: Path,
    inputs: Inputs,
) -> Iterator[Tensor]:
    """As one writes it in ten lines."""
    names = [*inputs.numeric, LABEL]
    for path in sorted(folder.glob("*.parquet")):
        for batch in pq.ParquetFile(path).iter_batches(
            BATCH_ROWS, columns=names, use_threads=False
        ):
            columns = [
                torch.from_numpy(column.to_numpy(zero_copy_only=False).astype(np.float32))
                for column in batch.columns
            ]
            torch.stack(columns[:-1], dim=1)
            yield columns[-1]


def reading(
    folder: Path,
    inputs: Inputs,
) -> int:
    """Decodes all columns."""
    names = [*inputs.numeric, LABEL, AT]
    paths = sorted(folder.glob("*.parquet"))
    return sum(pq.read_table(path, columns=names, use_threads=False).num_rows for path in paths)


def write(
    folder: Path,
    rows: int,
    inputs: Inputs,
) -> None:
    """A set as an export leaves it."""
    rng = np.random.default_rng(1)
    at = np.arange(rows, dtype=np.int64) * 1_000_000
    values = {name: rng.normal(size=rows) for name in inputs.numeric}
    columns = {
        name: pa.array(column, mask=rng.random(rows) < 0.1) for name, column in values.items()
    }
    label = (rng.random(rows) < 0.2).astype(np.float64)
    ids = np.char.add("r", np.arange(rows).astype(str))
    table = pa.table({ID: ids, AT: at, **columns, LABEL: label})
    size = BatchSettings().rows_per_file
    files = [
        written(folder / f"part-{start // size:05d}.parquet", table.slice(start, size))
        for start in range(0, rows, size)
    ]
    split = split_by_time(at, np.ones(rows, np.int64), (0.7, 0.15))
    manifest = TrainingManifest(
        pipeline="bench",
        model="bench",
        epoch=1,
        as_of_us=int(at[-1]),
        definition_digest="",
        digest="",
        rows=rows,
        first_at_us=0,
        last_at_us=int(at[-1]),
        split=split,
        parts=spans_of(split, at, np.ones(rows, np.int64)),
        columns=[
            ManifestColumn(name=field.name, type=str(field.type), nulls=column.null_count)
            for field, column in zip(table.schema, table.columns, strict=True)
        ],
        inputs=inputs,
        files=files,
    )
    told = TrainingStatistics(
        numeric={}, categories={}, sequences={}, label=LabelSummary(count=rows, mean=0.2)
    )
    (folder / training_statistics.FILE_NAME).write_bytes(training_statistics.encode(told))
    (folder / training_manifest.FILE_NAME).write_bytes(training_manifest.encode(manifest))


def written(
    path: Path,
    table: pa.Table,
) -> ManifestFile:
    """One file, as the batch layer writes it."""
    pq.write_table(table, path, compression="zstd", row_group_size=GROUP_ROWS)
    return ManifestFile(
        name=path.name,
        sha256=sha256_of(path),
        size_bytes=path.stat().st_size,
        rows=table.num_rows,
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
