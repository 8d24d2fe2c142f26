"""One read of the view in the predictor: LMDB, base and speed states merged, 20 features answered;
and a batch of 1,000 keys.

`python -m benchmarks.read [keys]`: a store filled by its own code, without a broker:
a base of all keys, and speed states of one epoch for each.
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
from benchmarks.wide import wide
from predict_svc.view.reader import ViewReader

READS, BATCH, BATCHES = 20_000, 1_000, 60


def main(n_keys: int = 100_000) -> None:
    """Measures once and records the result."""
    with tempfile.TemporaryDirectory(prefix="twinstream-bench-") as folder:
        reader, keys, at_us = filled_reader(Path(folder), wide, n_keys)
        dice = np.random.default_rng(5)
        chosen = [keys[i] for i in dice.choice(n_keys, READS)]
        for key in chosen[:2_000]:
            reader.read(key, at_us)
        single = [_timed(reader, key, at_us) / 1000 for key in chosen]
        batches = [
            _timed_many(reader, [keys[i] for i in dice.choice(n_keys, BATCH)], at_us) / 1000 / BATCH
            for _ in range(BATCHES)
        ]
    p50, p99 = np.percentile(single, [50, 99]).round(2).tolist()
    record(
        "read",
        {
            "keys": n_keys,
            "features": len(wide.outputs),
            "read_us": {"p50": p50, "p99": p99},
            "batch_of": BATCH,
            "batch_us_a_key": round(float(np.median(batches)), 2),
            "pyarrow": pa.__version__,
        },
    )


def _timed(reader: ViewReader, key: bytes, at_us: int) -> int:
    started = time.perf_counter_ns()
    reader.read(key, at_us)
    return time.perf_counter_ns() - started


def _timed_many(reader: ViewReader, wanted: list[bytes], at_us: int) -> int:
    at = np.full(len(wanted), at_us)
    started = time.perf_counter_ns()
    reader.read_many(wanted, at)
    return time.perf_counter_ns() - started


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
