"""Everything real of a speed worker, put together."""

from __future__ import annotations

from preprocess_svc.speed.resume import Resume
from preprocess_svc.speed.settings import SpeedSettings
from preprocess_svc.speed.worker import SpeedWorker
from twinstream.algebra import kernel
from twinstream.mesh import carrying
from twinstream.mesh.carriers import carrier_of
from twinstream.mesh.process import Process

READY_LAG = 2000


def run(process: Process[SpeedSettings]) -> None:
    """Fold until told to stop."""
    worker = _made(process)
    for plan in worker.plans:
        kernel.warm_up(plan)
    worker.carrier = carrier_of(process.settings, worker.options, worker)
    carrying.run(
        process, worker.carrier, lambda lag: _beat(process, worker, lag), [worker.watch_gaps]
    )


def _made(process: Process[SpeedSettings]) -> SpeedWorker:
    """The worker on its ports."""
    settings = process.settings
    own = process.own
    pipeline = process.pipeline
    refused = process.quarantine().refuse
    resume = Resume(
        settings,
        pipeline,
        own.clock_skew_s,
        refused,
    )
    return SpeedWorker(
        settings,
        own,
        pipeline,
        resume,
        metrics=process.metrics,
        refused=refused,
    )


def _beat(
    process: Process[SpeedSettings],
    worker: SpeedWorker,
    lag: int | None,
) -> None:
    if lag is not None:
        process.metrics.gauge(
            "speed_lag_messages",
            lag,
        )
    ready = worker.assigned and not worker.blocks and (lag is None or lag <= READY_LAG)
    detail = {"partitions": len(worker.next_offsets()), **worker.blocks.detail()}
    process.heartbeat.beat(
        ready=ready,
        lag=lag,
        detail=detail,
    )
