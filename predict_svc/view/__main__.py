"""`python -m predict_svc.view`: one view worker."""

from __future__ import annotations

import faulthandler
import sys
import threading

import structlog

from predict_svc.view import memory
from predict_svc.view.log_ends import LogEnds
from predict_svc.view.publications import Publications
from predict_svc.view.settings import ViewSettings
from predict_svc.view.worker import ViewWorker, in_loop
from schemas.events import ViewPublished
from schemas.topics import topic_of
from twinstream.algebra import kernel
from twinstream.errors import MeshError
from twinstream.mesh import faust_app, pipeline_file
from twinstream.mesh.dead_letters import DeadLetters
from twinstream.mesh.events import EventPublisher, EventReader, patient
from twinstream.mesh.exit_codes import exit_code
from twinstream.mesh.heartbeat import Heartbeat
from twinstream.mesh.kafka.reach import watched
from twinstream.mesh.log import configure
from twinstream.mesh.metrics import Metrics
from twinstream.mesh.object_store import ObjectStore
from twinstream.mesh.quarantine import Quarantine
from twinstream.mesh.settings import MeshSettings
from twinstream.protocol.manifests import Manifests


def main() -> None:
    """Settings, stores, bases, Faust."""
    log = configure("view")
    memory.keep_freed()
    faulthandler.enable()
    loop = faust_app.event_loop()
    try:
        settings, knobs = MeshSettings.from_env(), ViewSettings.from_env()
        pipeline = pipeline_file.load(settings.pipeline)
        metrics = Metrics(settings, "view")
        publisher = EventPublisher(settings, "/predict_svc/view")
        name = "view" if knobs.instance in {"1", settings.instance} else f"view-{knobs.instance}"
        quarantine = Quarantine(
            settings, name, DeadLetters(settings, "predict", publisher), metrics
        )
        worker = ViewWorker(
            settings, knobs, pipeline, metrics, publisher, log_ends=LogEnds(settings)
        )
        reach = watched(settings)
        heartbeat = Heartbeat(settings, name, away=lambda: reach.away)
        heartbeat.beat(ready=False)
        for plan in worker.plans.values():
            kernel.warm_up(plan)
        worker.publications = Publications(
            ObjectStore(settings),
            in_loop(loop, worker.land),
            in_loop(loop, worker.refuse),
            knobs.base_retry_s,
        )
        believed = Manifests(pipeline, settings.partitions, settings.bucket)
        reader = EventReader(
            settings, [topic_of(ViewPublished)], refused=quarantine.refuse, check=believed.refusal
        )
        follow(reader, worker.publications)
    except MeshError as error:
        log.error("cannot_start", reason=str(error))  # noqa: TRY400  a user's mistake needs no trace
        sys.exit(exit_code(error))
    worker.publications.start()
    worker.app = faust_app.CarrierApp(settings, worker.options, worker)

    def beat(lag: int | None) -> None:
        if lag is not None:
            metrics.gauge("view_lag_messages", lag)
        heartbeat.beat(
            ready=worker.ready and (lag or 0) <= knobs.ready_lag, lag=lag, detail=worker.detail()
        )

    faust_app.run(
        worker.app,
        beat,
        [worker.keep_flushing, worker.keep_telling],
        loop,
        away=lambda: reach.away,
    )


def follow(reader: EventReader, publications: Publications) -> None:
    """Know all that was published up to now, then follow in a thread, also when Kafka was away for a while."""
    for event, _ in reader.read_to_end():
        if isinstance(event, ViewPublished):
            publications.published(event)

    def on() -> None:
        try:
            for event, _ in patient(reader):
                if isinstance(event, ViewPublished):
                    publications.published(event)
        except Exception:  # noqa: BLE001  a thread that follows no more must not go unnoticed
            structlog.get_logger().exception("publications_unreadable")
            faust_app.end(faust_app.FAILED)

    threading.Thread(target=on, name="publications", daemon=True).start()


if __name__ == "__main__":
    main()
