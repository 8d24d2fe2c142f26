"""Batch scoring of a table beside ONNX Runtime alone on ready features, in one process:
`python -m benchmarks.score [rows] [records] [keys]`.

Spine and scores lie on the local disk, history and model on the S3 server; Spark is warm.
"""

from __future__ import annotations

import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from benchmarks.fold import AS_OF_US, JVM, SPAN_US, history
from benchmarks.record import record
from benchmarks.untrained import NO_STATISTICS
from deploy.local.mesh import EmbeddedMesh
from preprocess_svc.batch.history.table import History
from preprocess_svc.batch.scoring.job import ScoringJob
from preprocess_svc.batch.scoring.origin import Origin
from preprocess_svc.batch.scoring.plan import score_plan
from preprocess_svc.batch.settings import BatchSettings
from preprocess_svc.batch.spark import session, warmup
from preprocess_svc.batch.spark.context import Context
from schemas.events import ModelPromoted, Release
from twinstream.define import Model
from twinstream.features.arrays import codes
from twinstream.features.inputs import Inputs
from twinstream.mesh.object_store import ObjectStore
from twinstream.mesh.pipeline_file import load
from twinstream.nn.digest import model_digest, qualified_name
from twinstream.nn.files import ModelConfig, score, to_files, with_program
from twinstream.nn.scorer import load_scorer
from twinstream.protocol.batch_shapes import SHAPES
from twinstream.protocol.scores import ScoreOrigin, ScoreRequest

HERE = Path(__file__).parent
RUNS = 3
NOTE = (
    "Rows a second from a Parquet table to Parquet scores, the best of three runs with Spark warm. "
    "`past`: each row as of its own moment, over 30 days; `now`: as of the epoch. "
    "`onnx alone`: the same program on ready features in the same process, two threads, batches of "
    "512. `share`: ours by that. The model: three aggregates over three windows of one key, and a "
    "text; the network is the default one, untrained."
)


def main(rows: int = 1_000_000, records: int = 1_000_000, keys: int = 100_000) -> None:
    """Measures and records."""
    with (
        tempfile.TemporaryDirectory(prefix="twinstream-bench-") as folder,
        EmbeddedMesh(folder, HERE / "pipeline.py", (), engines=("s3", "hive")) as mesh,
    ):
        knobs = {**mesh.env, "TWINSTREAM_BATCH_JVM_OPTIONS": JVM}
        bench = Bench(mesh.settings, BatchSettings.from_env(knobs), Path(folder))
        bench.land(records, keys)
        figures = bench.measure(rows, keys)
        bench.context.spark.stop()
    record("score", {"rows": rows, "records": records, "keys": keys, **figures}, NOTE)


class Bench:
    """A batch layer without a log: a session, one landed epoch, one model."""

    def __init__(self, mesh: Any, knobs: BatchSettings, folder: Path) -> None:
        pipeline = load(mesh.pipeline)
        self.folder = folder
        self.model: Model = pipeline.models[0]
        self.context = Context(session.create(mesh, knobs), mesh, knobs, pipeline)
        warmup.run(self.context.spark, pipeline)
        self.store = ObjectStore(mesh)
        self.promoted = promoted(self.store, mesh.model_bucket, self.model, pipeline.digest)

    def land(self, records: int, keys: int) -> None:
        """One epoch of history."""
        view = self.model.views[0]
        uri = f"s3://{self.context.mesh.bucket}/bench/rows.parquet"
        sink = BytesIO()
        pq.write_table(history(view, 0, records, records, keys), sink)
        self.store.put_uri(uri, sink.getvalue())
        tables = History(self.context)
        tables.ensure_tables()
        rows = self.context.spark.read.parquet(uri.replace("s3:", "s3a:"))
        landed = tables.append(view.source, 1, rows, None)
        tables.point(view.source, 1, landed.path)

    def measure(self, rows: int, keys: int) -> dict[str, Any]:
        """Of both kinds of rows, and the floor, in turns."""
        spines = {kind: self.spine(kind, rows, keys) for kind in ("past", "now")}
        self.run(self.spine("now", 100_000, keys))
        best = dict.fromkeys([*spines, "onnx_alone"], 0.0)
        stages: dict[str, dict[str, float]] = {}
        for _ in range(RUNS):
            for kind, spine in spines.items():
                started = time.perf_counter()
                answer = self.run(spine)
                rate = rows / (time.perf_counter() - started)
                if rate > best[kind]:
                    best[kind], stages[kind] = rate, answer.seconds
            best["onnx_alone"] = max(best["onnx_alone"], self.floor(rows))
        return {
            "rows_a_second": {kind: round(rate) for kind, rate in best.items()},
            "share": {kind: round(best[kind] / best["onnx_alone"], 3) for kind in spines},
            "seconds": stages,
        }

    def spine(self, kind: str, rows: int, keys: int) -> Path:
        """A table of questions."""
        dice = np.random.default_rng(5)
        columns: dict[str, Any] = {
            "payment_id": pa.array(np.arange(rows)).cast(pa.string()),
            "account": pa.array([f"account-{i:07d}" for i in dice.integers(0, keys, rows)]),
            "merchant": pa.array([f"merchant-{i:04d}" for i in dice.integers(0, 900, rows)]),
        }
        if kind == "past":
            columns["paid_at"] = pa.array(AS_OF_US - dice.integers(0, SPAN_US, rows))
        path = self.folder / f"{kind}-{rows}.parquet"
        pq.write_table(pa.table(columns), path)
        return path

    def run(self, spine: Path) -> Any:
        """One batch of scores."""
        request = ScoreRequest(
            model=self.model.name,
            spine=str(spine),
            out=str(self.folder / "scores"),
            overwrite=True,
        )
        mesh, pipeline = self.context.mesh, self.context.pipeline
        said = ScoreOrigin(
            model=self.model.name,
            release=Release(definition=pipeline.digest, epoch=1, model=self.promoted.model_digest),
            cuts={},
            file_count=0,
            as_of_us=AS_OF_US,
        )
        plan = score_plan(mesh, pipeline, request)
        return ScoringJob(self.context, plan, Origin(said, self.promoted)).run()

    def floor(self, rows: int) -> float:
        """Rows a second of the network alone."""
        digest = self.context.pipeline.digest
        loaded = load_scorer(self.store, self.promoted, self.model.network, digest)._loaded
        numeric, texts, sequences = sample(loaded.config.inputs, SHAPES[-1])
        turns = rows // SHAPES[-1] // 2

        def run(_: int) -> None:
            for _ in range(turns):
                score(loaded, numeric, texts, sequences)

        with ThreadPoolExecutor(2) as pool:
            started = time.perf_counter()
            list(pool.map(run, range(2)))
            return 2 * turns * SHAPES[-1] / (time.perf_counter() - started)


def sample(inputs: Inputs, rows: int) -> Any:
    """Arrays as the network takes them."""
    dice = np.random.default_rng(1)
    texts = [["merchant-0001"] * rows for _ in inputs.categorical]
    return (
        dice.normal(size=(rows, len(inputs.numeric))),
        codes(texts, [{} for _ in texts], rows),
        dice.normal(size=(rows, len(inputs.sequences), inputs.longest)),
    )


def promoted(store: ObjectStore, bucket: str, model: Model, definition: str) -> ModelPromoted:
    """An untrained network as ONNX, on S3."""
    torch.manual_seed(1)
    inputs = Inputs.of(model.inputs)
    network = model.network(inputs, NO_STATISTICS).eval()
    config = ModelConfig(
        model=model.name,
        network=qualified_name(model.network),
        arguments={},
        inputs=inputs,
        statistics=NO_STATISTICS,
        definition_digest=definition,
    )
    config, program = with_program(network, config, sample(inputs, 64))
    files = to_files(network, config, {}, program)
    digest = model_digest(files)
    versions = {name: store.put(bucket, f"{digest}/{name}", d) or "" for name, d in files.items()}
    return ModelPromoted(
        model=model.name,
        model_digest=digest,
        uri=f"s3://{bucket}/{digest}",
        version_ids=versions,
        definition_digest=definition,
        metrics={},
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
