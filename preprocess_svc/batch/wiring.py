"""Everything real of the batch layer, put together: Spark, then the loop."""

from __future__ import annotations

import os
from collections.abc import Callable

from preprocess_svc.batch.epochs.engine import Engine
from preprocess_svc.batch.epochs.lease import Lease, owner_of
from preprocess_svc.batch.epochs.lock import FolderLock
from preprocess_svc.batch.epochs.loop import Batch
from preprocess_svc.batch.epochs.plan import Plan
from preprocess_svc.batch.settings import BatchSettings
from preprocess_svc.batch.spark import session, warmup
from preprocess_svc.batch.spark.context import Context
from twinstream.define import Pipeline
from twinstream.mesh.attempts import Attempts
from twinstream.mesh.heartbeat import Vitals
from twinstream.mesh.object_store import ObjectStore
from twinstream.mesh.process import Process
from twinstream.mesh.settings import MeshSettings

STARTING = "starting Spark"


def run(process: Process[BatchSettings]) -> None:
    """Fold epochs until told to stop. A step that takes longer is broken off: it is done again."""
    os.nice(process.own.nice)  # before Spark starts: its JVM and its Python workers inherit it
    life = Life()
    process.beats(life.vitals)
    if not locked(process, life):
        return
    lease = lease_of(process)
    if not leased(process, life, lease):
        return
    life.batch = _made(process, lease.owner)
    process.log.info(
        "spark_started",
        master=process.settings.spark_master,
    )
    life.batch.run(process.stopping)


class Life:
    """What the heartbeat says: a step of Spark takes longer than the supervisor's patience."""

    def __init__(self) -> None:
        self.doing = STARTING
        self.waits_for: Callable[[], str] = str
        self.batch: Batch | None = None

    def vitals(self) -> Vitals:
        """Ready once there is a loop that nothing blocks."""
        batch = self.batch
        if batch is None:
            return False, None, {"doing": self.waits_for() or self.doing}
        facts = {"doing": batch.doing, "epoch": batch.seen.newest, "files": len(batch.seen.files)}
        return not batch.blocked, None, {**facts, "blocked": batch.blocked}


def locked(
    process: Process[BatchSettings],
    life: Life,
) -> bool:
    """Whether the data folder is this process's alone; False when it was told to stop before."""
    lock = FolderLock(process.settings.data)
    life.doing = "waiting for another batch process of this data folder"
    if not lock.acquire(process.stopping):
        return False
    process.ending.at_end(lock.release)
    life.doing = STARTING
    return True


def lease_of(process: Process[BatchSettings]) -> Lease:
    """This process's claim to be the one at work, over all hosts."""
    settings = process.settings
    return Lease(
        ObjectStore(settings),
        (settings.bucket, process.pipeline.name),
        owner_of(settings.data),
        process.own.lease_s,
    )


def leased(
    process: Process[BatchSettings],
    life: Life,
    lease: Lease,
) -> bool:
    """Whether this process is the one at work; False when it was told to stop before. From then on
    it beats, and ends when another one has taken over.
    """
    life.waits_for = lambda: lease.reason
    if not lease.acquire(process.stopping):
        return False
    process.ending.at_end(lease.release)
    process.ending.if_broken_off(lease.release)
    process.ending.thread("lease", lambda: lease.keep(process.stopping))
    return True


def _made(process: Process[BatchSettings], owner: str) -> Batch:
    """The loop on its ports."""
    settings, own, pipeline = process.settings, process.own, process.pipeline
    spark = session.create(settings, own)
    context = Context(spark, settings, own, pipeline)
    engine = Engine(context, process.clock, process.metrics, owner)
    process.ending.if_broken_off(engine.forgive)
    process.ending.at_end(engine.close)
    warmup.run(spark, pipeline)
    plan = plan_of(settings, own, pipeline)
    return Batch(plan, engine, process.clock, Attempts(engine.failures))


def plan_of(
    mesh: MeshSettings,
    knobs: BatchSettings,
    pipeline: Pipeline,
) -> Plan:
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
