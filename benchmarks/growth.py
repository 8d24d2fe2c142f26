"""View state beyond memory: one partition of ten million keys, read by a process that may hold a
fraction of it in memory.

`python -m benchmarks.growth [keys] [memory limit in MB]`: the base is loaded by the view's own code
from a Parquet file, and the newest keys have speed states besides.
The reader's memory, page cache included, is bounded by a control group where that is possible;
the result says whether it was.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import cgroup, memory
from benchmarks.record import record
from benchmarks.stores import HOUR_US, SLICE, states
from predict_svc.view import bases
from predict_svc.view.layout import Base
from predict_svc.view.opening import open_reader, open_store
from preprocess_svc.batch.folding.pruning import complete_since, prune
from schemas.events import Cut
from schemas.partials import PartialHeader, encode_header
from twinstream.algebra.plan import ViewPlan
from twinstream.define import View
from twinstream.mesh.pipeline_file import load
from twinstream.mesh.settings import MeshSettings

HERE = Path(__file__).parent
OLD_RECORDS, NEW_RECORDS, SPEED_SHARE, READS, WARM_UP, HOT_SHARE = 4, 2, 0.05, 20_000, 20_000, 0.001
KINDS = ("uniform", "skewed")


def main(n_keys: int = 10_000_000, limit_mb: int = 512) -> None:
    """Measures once and records the result."""
    with tempfile.TemporaryDirectory(prefix="twinstream-bench-") as folder:
        started = time.perf_counter()
        files = _fill(Path(folder), n_keys)
        filled_s = time.perf_counter() - started
        base_mb, speed_mb = (
            round(memory.folder_mb(path), 1)
            if path.is_dir()
            else round(path.stat().st_blocks * 512 / 1e6, 1)
            for path in files
        )
        with cgroup.bounded(limit_mb << 20) as group:
            reads = {kind: _in_child(folder, n_keys, kind, files, group) for kind in KINDS}
    record(
        "growth",
        {
            "keys": n_keys,
            "records_a_key": OLD_RECORDS,
            "keys_with_speed_states": int(n_keys * SPEED_SHARE),
            "base_file_mb": base_mb,
            "speed_file_mb": speed_mb,
            "filled_in_s": round(filled_s, 1),
            "memory_limit_mb": limit_mb if group else "none: control groups cannot be made here",
            "reads": reads,
        },
    )


def _fill(data: Path, n_keys: int) -> tuple[Path, Path]:
    """A store of one partition; returns the files of its base and of its speed states."""
    view, now_us = _view(), time.time_ns() // 1000
    plan, folder = ViewPlan(view), data / "view" / view.name / "0"
    store = open_store(folder, plan)
    _write(data / "base.parquet", plan, n_keys, now_us - HOUR_US)
    bases.load(data / "base.parquet", store.bases, bases.file_name(1))
    (data / "base.parquet").unlink()
    store.land(Base(epoch=1, file=bases.file_name(1), cut={0: Cut(offset=0, raw_high=0)}))
    for number, start in enumerate(range(0, int(n_keys * SPEED_SHARE), SLICE), 1):
        part = states(
            view,
            plan,
            range(start, start + SLICE),
            NEW_RECORDS,
            now_us - HOUR_US,
            now_us,
            chunked=True,
        )
        header = PartialHeader(
            origin_partition=0,
            origin_offset=number,
            previous=number - 1,
            epoch=2,
            raw_high=number,
            rows=SLICE * NEW_RECORDS,
            keys=SLICE,
        )
        store.apply([(number, encode_header(header) + part.to_bytes())])
    store.set_whole()
    store.close()
    return folder / bases.file_name(1), folder / "speed.lmdb"


def _write(path: Path, plan: ViewPlan, n_keys: int, until_us: int) -> None:
    """A base whose states repeat every SLICE keys: they differ in nothing that a read could profit
    from.
    """
    part = states(plan.view, plan, range(SLICE), OLD_RECORDS, until_us - 720 * HOUR_US, until_us)
    blobs = pa.array(prune(part, complete_since(plan, until_us)).blobs(), pa.binary())
    with pq.ParquetWriter(
        path, pa.schema([("key", pa.binary()), ("blob", pa.binary())]), compression="zstd"
    ) as writer:
        for start in range(0, n_keys, SLICE):
            keys = pa.array(
                [_key(i) for i in range(start, min(start + SLICE, n_keys))], pa.binary()
            )
            writer.write_table(
                pa.table({"key": keys, "blob": blobs.slice(0, len(keys))}), row_group_size=20_000
            )


def _in_child(
    folder: str, n_keys: int, kind: str, files: tuple[Path, Path], group: Path | None
) -> dict[str, Any]:
    """Reads in a process of its own, on files of which the page cache holds nothing."""
    for path in files:
        _forget(path)
    command = [
        sys.executable,
        "-m",
        "benchmarks.growth",
        "--read",
        folder,
        str(n_keys),
        kind,
        str(group or ""),
    ]
    return dict(
        json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    )


def _read(folder: str, n_keys: int, kind: str, group: str) -> None:
    """The child: bounds itself, reads, and tells."""
    if group:
        Path(group).write_text(str(os.getpid()))
    reader = open_reader(MeshSettings(pipeline="none", data=folder, partitions=1), _view())
    at_us, chosen = time.time_ns() // 1000, _chosen(n_keys, kind)
    for i in chosen[:WARM_UP]:
        reader.read(_key(i), at_us)
    before = resource.getrusage(resource.RUSAGE_SELF)
    took = np.fromiter(_timed(lambda i: reader.read(_key(i), at_us), chosen[WARM_UP:]), np.int64)
    after = resource.getrusage(resource.RUSAGE_SELF)
    p50, p90, p99, most = np.percentile(took / 1000, [50, 90, 99, 100]).round(1).tolist()
    held = memory.of_tree(os.getpid())
    json.dump(
        {
            "p50_us": p50,
            "p90_us": p90,
            "p99_us": p99,
            "most_us": most,
            "reads": len(took),
            "from_disk": after.ru_majflt - before.ru_majflt,
            "resident_own_mb": round(held["anonymous"], 1),
            "resident_files_mb": round(held["files"], 1),
        },
        sys.stdout,
    )


def _timed(read: Callable[[int], object], chosen: list[int]) -> Iterator[int]:
    for i in chosen:
        started = time.perf_counter_ns()
        read(i)
        yield time.perf_counter_ns() - started


def _chosen(n_keys: int, kind: str) -> list[int]:
    """Numbers of keys: all alike, or nine of ten reads to one in a thousand keys,
    which lie scattered.
    """
    dice = np.random.default_rng(5)
    found = dice.integers(0, n_keys, WARM_UP + READS)
    if kind == "skewed":
        hot = dice.choice(n_keys, int(n_keys * HOT_SHARE), replace=False)
        found = np.where(dice.random(len(found)) < 0.9, dice.choice(hot, len(found)), found)
    return [int(i) for i in found]


def _forget(path: Path) -> None:
    """Write a file out and drop it from the page cache."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _key(number: int) -> bytes:
    return b"account-%07d" % number


def _view() -> View:
    return load(HERE / "pipeline.py").view("by-account")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--read"]:
        _read(sys.argv[2], int(sys.argv[3]), *sys.argv[4:])
    else:
        main(*map(int, sys.argv[1:]))
