"""Starts the batch layer: settings, Spark, then the loop until a signal or an error."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from preprocess_svc.batch import session, warmup
from preprocess_svc.batch.context import Context
from preprocess_svc.batch.engine import Engine
from preprocess_svc.batch.epochs import Plan
from preprocess_svc.batch.lock import FolderLock
from preprocess_svc.batch.service import Batch
from preprocess_svc.batch.settings import BatchSettings
from twinstream.define import Pipeline
from twinstream.errors import MeshError
from twinstream.mesh import log, pipeline_file
from twinstream.mesh.attempts import Attempts
from twinstream.mesh.clock import WallClock
from twinstream.mesh.exit_codes import exit_code
from twinstream.mesh.heartbeat import Heartbeat
from twinstream.mesh.kafka.reach import watched
from twinstream.mesh.metrics import Metrics
from twinstream.mesh.settings import MeshSettings

BEAT_S = 1.0
END_BOUND_S = 3.0


def plan_of(mesh: MeshSettings, knobs: BatchSettings, pipeline: Pipeline) -> Plan:
    """What the state machine needs to know."""
    return Plan(
        sources=tuple(s.name for s in pipeline.sources),
        views=tuple(v.name for v in pipeline.views),
        models=tuple(m.name for m in pipeline.models),
        digest=pipeline.digest,
        partitions=mesh.partitions,
        seal_every_us=round(mesh.seal_every_s * 1e6),
        seal_after_files=mesh.seal_after_files,
        training_growth=knobs.training_growth,
    )


class Pulse:
    """Beats in a thread of its own: a step of Spark takes longer than the supervisor's patience."""

    def __init__(self, mesh: MeshSettings, stopping: threading.Event) -> None:
        reach = watched(mesh)
        self._heart = Heartbeat(mesh, "batch", away=lambda: reach.away)
        self._stopping = stopping
        self.ready: Callable[[], bool] = lambda: False
        self.state: Callable[[], dict[str, object]] = lambda: {"doing": "starting Spark"}
        threading.Thread(target=self._run, name="heartbeat", daemon=True).start()

    def _run(self) -> None:
        while True:
            self._heart.beat(self.ready(), None, self.state())
            if self._stopping.wait(BEAT_S):
                return


def run(
    mesh: MeshSettings,
    knobs: BatchSettings,
    pipeline: Pipeline,
    stopping: threading.Event,
    logger: Any,
    *,
    farewell: list[Callable[[], None]],
) -> None:
    """Everything real, wired; returns once `stopping` is set."""
    pulse, clock = Pulse(mesh, stopping), WallClock()
    os.nice(knobs.nice)  # before Spark starts: its JVM and its Python workers inherit it
    lock = FolderLock(mesh.data)
    pulse.state = lambda: {"doing": "waiting for another batch process of this data folder"}
    if not lock.acquire(stopping):
        return
    pulse.state = lambda: {"doing": "starting Spark"}
    spark = session.create(mesh, knobs)
    metrics = Metrics(mesh, "batch")
    engine = Engine(Context(spark, mesh, knobs, pipeline), clock, metrics)
    farewell.append(engine.forgive)
    warmup.run(spark, pipeline)
    batch = Batch(plan_of(mesh, knobs, pipeline), engine, clock, Attempts(engine.failures))
    pulse.state = lambda: {
        "doing": batch.doing,
        "epoch": batch.seen.newest,
        "files": len(batch.seen.files),
        "blocked": batch.blocked,
    }
    pulse.ready = lambda: not batch.blocked
    logger.info("started", spark=spark.version, master=mesh.spark_master)
    try:
        batch.run(stopping)
    finally:
        engine.close()
        lock.release()


def main() -> int:
    """Run until SIGTERM or SIGINT; 1 for a mistake of the user or a broken engine, with one line that says what."""
    logger = log.configure("batch")
    stopping, farewell = threading.Event(), list[Callable[[], None]]()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: _end(stopping, farewell))
    try:
        mesh, knobs = MeshSettings.from_env(), BatchSettings.from_env()
        run(mesh, knobs, pipeline_file.load(mesh.pipeline), stopping, logger, farewell=farewell)
    except MeshError as error:
        logger.error("stopped", reason=str(error))  # noqa: TRY400  (a mistake of the user: no stack trace)
        return exit_code(error)
    except Exception as error:
        if stopping.is_set():
            logger.info(
                "broken_off", reason=repr(error)
            )  # Spark ends under a step that goes on; it is done again
            _say(farewell)
            return 0
        logger.exception("failed")
        return 1
    logger.info("ended")
    return 0


def _end(stopping: threading.Event, farewell: list[Callable[[], None]]) -> None:
    """End at the next step; a step of Spark that takes longer is broken off, which is safe, as it is done again."""
    stopping.set()

    def leave() -> None:
        _say(farewell)
        os._exit(0)

    for bound_s, act in ((END_BOUND_S, leave), (2 * END_BOUND_S, lambda: os._exit(0))):
        timer = threading.Timer(bound_s, act)
        timer.daemon = True
        timer.start()


def _say(farewell: list[Callable[[], None]]) -> None:
    """What is to be said before the end, as far as anyone listens."""
    with suppress(Exception):
        for word in farewell:
            word()


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # the JVM ends with this process; waiting for its own farewell takes seconds
