"""Scores one spine and ends: `python -m preprocess_svc.batch.scoring`, started by
`twinstream score` with a `ScoreRequest` as JSON on standard input.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import msgspec

from preprocess_svc.batch.scoring.job import ScoringJob
from preprocess_svc.batch.scoring.origin import told_by_topics
from preprocess_svc.batch.scoring.plan import score_plan
from preprocess_svc.batch.settings import BatchSettings
from preprocess_svc.batch.spark import session
from preprocess_svc.batch.spark.context import Context
from preprocess_svc.batch.spark.working_folder import working_folder
from twinstream.define import Pipeline
from twinstream.errors import MeshError
from twinstream.mesh.exit_codes import FAILED, exit_code
from twinstream.mesh.pipeline_file import load
from twinstream.mesh.settings import MeshSettings
from twinstream.protocol.scores import ScoreAnswer, ScoreRequest

_RAISED = re.compile(r"^(?:[\w.]+\.)?(\w*(?:Error|Exception)): (.+)$", re.MULTILINE)


def main() -> None:
    """Answer with a `ScoreAnswer` as JSON on standard output, whatever happens."""
    answers = own_output()
    request = msgspec.json.decode(sys.stdin.buffer.read(), type=ScoreRequest)
    answers.write(msgspec.json.encode(answered(request)))
    answers.close()


def own_output() -> BinaryIO:
    """Standard output for the answer alone: what engines print there goes to standard error."""
    kept = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return os.fdopen(kept, "wb")


def answered(request: ScoreRequest) -> ScoreAnswer:
    """Score, or say why not."""
    try:
        return scored(request)
    except MeshError as error:
        return ScoreAnswer(error=str(error), code=exit_code(error))
    except Exception as error:  # noqa: BLE001  (Spark's own: it holds a worker's in words)
        print(error, file=sys.stderr)
        return ScoreAnswer(error=in_words(error), code=FAILED)


def scored(request: ScoreRequest) -> ScoreAnswer:
    """As this process's settings say where the mesh is. Raises MeshError."""
    mesh = MeshSettings.from_env()
    pipeline = load(mesh.pipeline)
    plan = score_plan(mesh, pipeline, request)
    told = told_by_topics(mesh, pipeline)
    origin = told.origin(plan.model, request.model_digest, plan.asked_us)
    with spark_of_its_own(mesh, pipeline) as context:
        return ScoringJob(context, plan, origin).run()


@contextmanager
def spark_of_its_own(mesh: MeshSettings, pipeline: Pipeline) -> Iterator[Context]:
    """Beside that of the batch layer, whose data folder it leaves alone."""
    knobs = BatchSettings.from_env()
    os.nice(knobs.nice)  # before Spark starts, as the batch layer does
    with working_folder("score-spark") as folder:
        mesh = msgspec.structs.replace(mesh, data=str(folder))
        spark = session.create(mesh, knobs, "twinstream-score")
        try:
            yield Context(spark, mesh, knobs, pipeline)
        finally:
            spark.stop()


def in_words(error: Exception) -> str:
    """The error of a worker that a trace of Spark holds; where there is none, this one."""
    trace = str(error).partition("Traceback (most recent call last)")[2]
    found = _RAISED.findall(trace)
    if not found:
        return f"{type(error).__name__}: {str(error)[:500]}"
    return ": ".join(found[0])[:1000]


if __name__ == "__main__":
    main()
