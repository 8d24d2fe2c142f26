"""From a published base of 20 features to one that serves: checksum, bulk load into LMDB,
landing; without the network.

`python -m benchmarks.base [keys ...]`: seconds for each number of keys, one partition.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.record import record
from benchmarks.stores import write_base
from benchmarks.wide import wide
from predict_svc.view import bases
from predict_svc.view.opening import open_store
from schemas.events import Cut, FileRef, ViewPublished
from twinstream.algebra.plan import ViewPlan
from twinstream.define import View
from twinstream.mesh.object_store import sha256_of


class Copied:
    """Stands in for S3: a copy on the same disk."""

    def download(self, uri: str, path: str | Path, version_id: str | None = None) -> None:
        shutil.copyfile(uri, path)


def main(*counts: int) -> None:
    """Measures each number of keys once and records the result."""
    figures = {}
    for n_keys in counts or (100_000, 1_000_000):
        with tempfile.TemporaryDirectory(prefix="twinstream-bench-") as folder:
            figures[str(n_keys)] = _seconds(Path(folder), wide, n_keys)
    record("base", {"outputs": len(wide.outputs), "keys": figures})


def _seconds(folder: Path, view: View, n_keys: int) -> dict[str, float]:
    path = folder / "base.parquet"
    write_base(path, view, n_keys, time.time_ns() // 1000)
    ref = FileRef(
        uri=str(path), sha256=sha256_of(path), size_bytes=path.stat().st_size, partition=0
    )
    published = ViewPublished(
        view=view.name,
        source="payments",
        epoch=1,
        cut={0: Cut(offset=0, raw_high=0)},
        files=[ref],
        definition_digest="",
        as_of_us=0,
        complete_since={},
    )
    store = open_store(folder / "store", ViewPlan(view))
    started = time.perf_counter()
    store.land(bases.fetch(Copied(), published, 0, store.bases))
    return {
        "seconds": round(time.perf_counter() - started, 2),
        "file_mb": round(ref.size_bytes / 1e6, 1),
    }


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
