"""Everything real of a view worker, put together."""

from __future__ import annotations

import asyncio

from predict_svc.view import memory
from predict_svc.view.log_ends import LogEnds
from predict_svc.view.opening import opening
from predict_svc.view.publications import Publications
from predict_svc.view.settings import ViewSettings
from predict_svc.view.worker import Ports, ViewWorker
from schemas.events import ViewPublished
from schemas.topics import topic_of
from twinstream.algebra import kernel
from twinstream.mesh import carrying
from twinstream.mesh.background import in_loop
from twinstream.mesh.carriers import carrier_of
from twinstream.mesh.events import EventPublisher, EventReader, patient
from twinstream.mesh.object_store import ObjectStore
from twinstream.mesh.process import Process
from twinstream.protocol.manifests import Manifests


def run(process: Process[ViewSettings]) -> None:
    """Keep the view until told to stop."""
    memory.keep_freed()
    loop = carrying.event_loop()
    publisher = EventPublisher(
        process.settings,
        "/predict_svc/view",
    )
    worker = _made(
        process,
        publisher,
    )
    for plan in worker.plans.values():
        kernel.warm_up(plan)
    worker.publications = publications(process, worker, loop)
    follow(
        process,
        publisher,
        worker.publications,
    )
    worker.publications.start()
    worker.carrier = carrier_of(process.settings, worker.options, worker)
    beside = [worker.keep_flushing, worker.keep_telling]
    carrying.run(process, worker.carrier, lambda lag: _beat(process, worker, lag), beside, loop)


def _made(
    process: Process[ViewSettings],
    publisher: EventPublisher,
) -> ViewWorker:
    """The worker on its ports."""
    ports = Ports(
        open_store=opening(process.settings, process.own),
        metrics=process.metrics,
        publisher=publisher,
        log_ends=LogEnds(process.settings),
    )
    return ViewWorker(process.own, process.pipeline, ports)


def publications(
    process: Process[ViewSettings], worker: ViewWorker, loop: asyncio.AbstractEventLoop
) -> Publications:
    """What fetches bases for the worker."""
    return Publications(
        ObjectStore(process.settings),
        in_loop(loop, worker.land),
        in_loop(loop, worker.refuse),
        process.own.base_retry_s,
    )


def follow(
    process: Process[ViewSettings], publisher: EventPublisher, publications: Publications
) -> None:
    """Know all that was published up to now, then follow in a thread, also when Kafka was away."""
    settings = process.settings
    believed = Manifests(
        process.pipeline,
        settings.partitions,
        settings.bucket,
    )
    reader = EventReader(
        settings,
        [topic_of(ViewPublished)],
        refused=process.quarantine(publisher).refuse,
        check=believed.refusal,
    )
    for event, _ in reader.read_to_end():
        _take(
            event,
            publications,
        )
    process.ending.thread("publications", lambda: _keep_taking(reader, publications))


def _keep_taking(
    reader: EventReader,
    publications: Publications,
) -> None:
    for event, _ in patient(reader):
        _take(
            event,
            publications,
        )


def _take(
    event: object,
    publications: Publications,
) -> None:
    if isinstance(event, ViewPublished):
        publications.published(event)


def _beat(
    process: Process[ViewSettings],
    worker: ViewWorker,
    lag: int | None,
) -> None:
    if lag is not None:
        process.metrics.gauge(
            "view_lag_messages",
            lag,
        )
    ready = worker.ready and (lag or 0) <= process.own.ready_lag
    process.heartbeat.beat(ready=ready, lag=lag, detail=worker.detail())
