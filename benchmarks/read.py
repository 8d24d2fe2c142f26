"""One read of the view in the predictor: LMDB, base and speed states merged, windows answered; and a batch of 1,000 keys.

`python -m benchmarks.read [keys]`: a store filled by its own code, without a broker: a base of all keys, and speed states of one epoch for each.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.record import record
from benchmarks.stores import filled_reader
from twinstream.mesh.pipeline_file import load

HERE = Path(__file__).parent
READS, BATCH, WINDOWED_OUTPUTS = 20_000, 1_000, 20


def main(n_keys: int = 100_000) -> None:
    """Measures once and records the result."""
    view = load(HERE / "pipeline.py").view("by-account")
    with tempfile.TemporaryDirectory(prefix="twinstream-bench-") as folder:
        reader, keys, at_us = filled_reader(Path(folder), view, n_keys)
        chosen = np.random.default_rng(5).choice(len(keys), READS)
        for i in chosen[:2_000]:
            reader.read(keys[i], at_us)
        single = np.array([_timed(reader, keys[i], at_us) for i in chosen])
        batch = [keys[i] for i in chosen[:BATCH]]
        at = np.full(BATCH, at_us)
        batches = []
        for _ in range(30):
            started = time.perf_counter_ns()
            reader.read_many(batch, at)
            batches.append((time.perf_counter_ns() - started) / BATCH)
    p50, p99 = np.percentile(single / 1000, [50, 99]).round(2).tolist()
    record("read", {
        "keys": n_keys, "outputs": len(view.outputs), "read_us": {"p50": p50, "p99": p99},
        "batch_of": BATCH, "batch_us_a_key": round(float(np.median(batches)) / 1000, 2), "pyarrow": pa.__version__,
    })  # fmt: skip


def _timed(reader: object, key: bytes, at_us: int) -> int:
    started = time.perf_counter_ns()
    reader.read(key, at_us)  # type: ignore[attr-defined]
    return time.perf_counter_ns() - started


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
