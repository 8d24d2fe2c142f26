"""The batch layer's fold of Parquet rows into base files, beside Spark SQL written by hand over the
same rows, in the same session.

`python -m benchmarks.fold [keys] [records ...]`: seconds of each way for each number of records,
input and output on the S3 server.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame

from benchmarks.record import record
from deploy.local.mesh import EmbeddedMesh
from preprocess_svc.batch.folding.fold import Fold
from preprocess_svc.batch.folding.fold_views import fold
from preprocess_svc.batch.folding.pruning import complete_since
from preprocess_svc.batch.history.rows import row_schema
from preprocess_svc.batch.settings import BatchSettings
from preprocess_svc.batch.spark import session
from preprocess_svc.batch.spark.context import Context
from schemas.events import FileRef
from twinstream.algebra import kernel, windows
from twinstream.algebra.plan import ViewPlan
from twinstream.algebra.state import StateBatch
from twinstream.define import View
from twinstream.mesh.object_store import ObjectStore
from twinstream.mesh.pipeline_file import load
from twinstream.mesh.settings import MeshSettings

HERE = Path(__file__).parent
JVM = "-XX:+UseParallelGC"
"""As BatchSettings advises for so many rows; the peers gain more by the optimizing compiler than
ours.
"""
AS_OF_US = 1_700_000_000_000_000
SPAN_US = 30 * windows.DAY_US
FILE_ROWS = 1_250_000
WARM_UP_ROWS = 100_000
COMPARED = 2_000
RUNS = 2
WINDOWS = ("1h", "24h", "30d")
NOTE = (
    "Seconds from Parquet rows to Parquet files, both on the S3 server; "
    "the better of two runs that take turns; rows in the order of their time over 30 days, "
    "as a log has them. "
    "`ours`: all tiles of all hops that a base keeps, sorted by key, one file a partition, "
    "checksums. `sql tiles`: the same tiles by GROUP BY key, hop, tile; unsorted, sums in "
    "64 bits. `sql windows`: the nine answers by GROUP BY key as of one moment, "
    "which a moment later are old; ours gives the same answers for it, "
    "compared in each run. "
    "`times`: how many times their seconds ours takes; `growth`: "
    "how many times longer the most records take than the fewest."
)


def main(n_keys: int = 100_000, *counts: int) -> None:
    """Measures each number of records and records the result."""
    with (
        tempfile.TemporaryDirectory(prefix="twinstream-bench-") as folder,
        EmbeddedMesh(folder, HERE / "pipeline.py", (), engines=("s3",)) as mesh,
    ):
        bench = Bench(
            mesh.settings, BatchSettings.from_env({**mesh.env, "TWINSTREAM_BATCH_JVM_OPTIONS": JVM})
        )
        bench.measure(WARM_UP_ROWS, n_keys)
        figures = {str(n): bench.measure(n, n_keys) for n in counts or (1_000_000, 10_000_000)}
        bench.close()
    record(
        "fold",
        {
            "keys": n_keys,
            "outputs": len(bench.view.outputs),
            "records": figures,
            **_growth(figures),
        },
        NOTE,
    )


def _growth(figures: dict[str, dict[str, float]]) -> dict[str, object]:
    """How many times longer the largest number of records takes than the smallest."""
    few, many = min(figures, key=int), max(figures, key=int)
    return {
        "growth": {
            "records": round(int(many) / int(few), 2),
            **{
                way: round(figures[many][f"{way}_s"] / figures[few][f"{way}_s"], 2)
                for way in ("ours", "sql_tiles", "sql_windows")
            },
        }
    }


class Bench:
    """A batch layer without log and metastore: a session, a bucket, one view."""

    def __init__(self, mesh: MeshSettings, knobs: BatchSettings) -> None:
        pipeline = load(mesh.pipeline)
        self.view = pipeline.view("by-account")
        self._context = Context(session.create(mesh, knobs), mesh, knobs, pipeline)
        self._store = ObjectStore(mesh)
        self._runs = 0

    def close(self) -> None:
        self._context.spark.stop()

    def measure(self, n: int, n_keys: int) -> dict[str, float]:
        """Seconds of each way (the better of two runs), the ratios, and whether the answers of some
        keys are the same.
        """
        rows = self._rows(n, n_keys)
        ways: dict[str, Callable[[str], list[FileRef]]] = {
            "ours": lambda to: self._ours(rows, to),
            "sql_tiles": lambda to: self._written(sql_tiles(self.view, rows), to),
            "sql_windows": lambda to: self._written(sql_windows(rows), to),
        }
        seconds = dict.fromkeys(ways, float("inf"))
        for _ in range(RUNS):
            for name, way in ways.items():
                uri = self._new_uri()
                started = time.perf_counter()
                files = way(uri)
                seconds[name] = min(seconds[name], time.perf_counter() - started)
                if name == "ours":
                    bases = files
        self._same(bases, uri)
        figures = {f"{name}_s": round(value, 2) for name, value in seconds.items()}
        return figures | {
            "times_sql_tiles": round(seconds["ours"] / seconds["sql_tiles"], 2),
            "times_sql_windows": round(seconds["ours"] / seconds["sql_windows"], 2),
            "base_mb": round(sum(file.size_bytes for file in bases) / 1e6, 1),
        }

    def _rows(self, n: int, n_keys: int) -> DataFrame:
        """n rows of the history, made and written to S3."""
        uri = self._new_uri()
        for number, start in enumerate(range(0, n, FILE_ROWS)):
            sink = BytesIO()
            pq.write_table(
                history(self.view, start, min(start + FILE_ROWS, n), n, n_keys),
                sink,
                compression="snappy",
            )
            self._store.put_uri(f"{uri}/{number:05d}.parquet", sink.getvalue())
        return self._context.spark.read.parquet(uri.replace("s3:", "s3a:"))

    def _new_uri(self) -> str:
        self._runs += 1
        return f"s3://{self._context.mesh.bucket}/bench/{self._runs}"

    def _ours(self, rows: DataFrame, to: str) -> list[FileRef]:
        one = Fold(
            view=self.view,
            since=complete_since(ViewPlan(self.view), AS_OF_US),
            before={},
            prefix=to,
            whole=True,
        )
        return fold(self._context, [one], {self.view.source.name: [(rows.inputFiles(), [0])]})[
            self.view.name
        ]

    @staticmethod
    def _written(found: DataFrame, to: str) -> list[FileRef]:
        found.write.parquet(to.replace("s3:", "s3a:"))
        return []

    def _same(self, bases: list[FileRef], windowed: str) -> None:
        """Compare the answers of a base file's first keys with those of SQL."""
        plan = ViewPlan(self.view)
        keys, answers = self._answers(plan, bases[0])
        asked = (
            self._context.spark.read.parquet(windowed.replace("s3:", "s3a:"))
            .where(_one_of(keys))
            .toPandas()
            .set_index("account")
        )
        expected = asked.loc[[key.decode() for key in keys], plan.names].to_numpy(np.float64)
        np.testing.assert_array_equal(answers, expected)

    def _answers(self, plan: ViewPlan, base: FileRef) -> tuple[list[bytes], np.ndarray]:
        first = pq.read_table(BytesIO(self._store.get_uri(base.uri))).slice(0, COMPARED)
        states = StateBatch.of(first["key"].to_pylist(), first["blob"].to_pylist())
        return states.keys, kernel.read_many(
            plan, states.words, states.offsets, np.full(len(states), AS_OF_US)
        )


def _one_of(keys: list[bytes]) -> str:
    return f"account <= '{keys[-1].decode()}'"


def history(view: View, start: int, stop: int, of: int, n_keys: int) -> pa.Table:
    """Rows `start..stop` of `of` rows: random accounts and amounts, times that go forward over 30
    days.
    """
    dice, n = np.random.default_rng(start + 11), stop - start
    times = (
        AS_OF_US - SPAN_US + np.sort(dice.integers(start * SPAN_US // of, stop * SPAN_US // of, n))
    )
    accounts = pa.array([f"account-{i:07d}" for i in range(n_keys)])
    merchants = pa.array([f"merchant-{i:04d}" for i in range(900)])
    columns = {
        "_position": np.arange(start, stop),
        "_known_us": times,
        "payment_id": pa.array(np.arange(start, stop)).cast(pa.string()),
        "account": accounts.take(pa.array(dice.integers(0, n_keys, n))),
        "paid_at": times,
        "cents": dice.integers(1, 10**6, n),
        "merchant": merchants.take(pa.array(dice.integers(0, 900, n))),
    }
    return pa.table(columns, schema=row_schema(view.source))


def sql_tiles(view: View, rows: DataFrame) -> DataFrame:
    """The tiles that the base holds."""
    since = complete_since(ViewPlan(view), AS_OF_US)
    hops = ", ".join(f"{hop}, paid_at div {windows.HOP_US[hop]}" for hop in since)
    kept = " or ".join(f"(hop = {hop} and tile >= {first})" for hop, first in since.items())
    return rows.sparkSession.sql(
        "select account, hop, tile, count(1) payments, sum(cents) paid, "
        "count(cents) paid_of, max(cents) largest "
        f"from (select account, cents, stack({len(since)}, {hops}) as (hop, "
        f"tile) from {{rows}}) where {kept} group by account, hop, tile",
        rows=rows,
    )


def sql_windows(rows: DataFrame) -> DataFrame:
    """The answers as of one moment, over the windows that the view's rule gives."""
    answers = []
    for window in WINDOWS:
        hop, first, _ = windows.tiles(window, AS_OF_US)
        inside = f"filter (where paid_at >= {first * windows.HOP_US[hop]})"
        answers += [
            f"count(1) {inside} payments_{window}",
            f"sum(cents) {inside} / 100 paid_{window}",
            f"max(cents) {inside} / 100 largest_{window}",
        ]
    return rows.sparkSession.sql(
        f"select account, {', '.join(answers)} from {{rows}} group by account", rows=rows
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
