"""Builds the application inside granian's worker process, where its clients and threads must begin."""

from __future__ import annotations

from ingest_svc.http_api.flask_api import Api, make_app
from ingest_svc.http_api.kafka_raw_producer import KafkaRawProducer
from ingest_svc.http_api.sending import Gate
from ingest_svc.http_api.service import SERVICE
from ingest_svc.settings import IngestSettings
from ingest_svc.validation import Screen
from twinstream.define.compiled import cells
from twinstream.define.pipeline import Pipeline
from twinstream.define.records import Decoder
from twinstream.define.source import Source
from twinstream.mesh import process
from twinstream.mesh.door import Door, DoorSettings
from twinstream.mesh.events import EventPublisher
from twinstream.mesh.metrics import Metrics
from twinstream.mesh.process import Process


def make() -> Door:
    """The application with its real ports."""
    worker = process.worker(SERVICE)
    cells.warm_up()
    metrics = Metrics(
        worker.settings,
        "ingest",
    )
    own = worker.own
    settings = DoorSettings.of(
        worker.settings,
        body_bytes=own.http_body_bytes,
        body_s=own.http_body_s,
        slots=own.http_threads,
    )
    return Door(make_app(api(worker, metrics)), settings, metrics.count)


def api(
    worker: Process[IngestSettings],
    metrics: Metrics,
) -> Api:
    """What the routes need."""
    confirm_s, reach = worker.own.http_confirm_s, worker.reach
    return Api(
        gates={s.name: _gate(worker.pipeline, s, worker.own) for s in worker.pipeline.sources},
        raw=KafkaRawProducer(worker.settings, confirm_s),
        events=EventPublisher(worker.settings, "/ingest_svc/http_api", bound_s=confirm_s),
        meter=metrics,
        clock=worker.clock,
        away=lambda: reach.away,
    )


def _gate(
    pipeline: Pipeline,
    source: Source,
    own: IngestSettings,
) -> Gate:
    keys = [view.by for view in pipeline.views_of(source.name)]
    return Gate(source, Screen(Decoder(source, keys), own.record_bytes))
