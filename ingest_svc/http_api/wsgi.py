"""Builds the application inside granian's worker process, where its clients and threads must begin."""

from __future__ import annotations

import os
import threading
import time

from ingest_svc.http_api.flask_api import Api, make_app
from ingest_svc.http_api.kafka_raw_producer import KafkaRawProducer
from ingest_svc.http_api.sending import Gate
from ingest_svc.settings import IngestSettings
from ingest_svc.validation import Screen
from twinstream.define.compiled import cells
from twinstream.define.records import Decoder
from twinstream.mesh import log, pipeline_file
from twinstream.mesh.clock import WallClock
from twinstream.mesh.door import Door, DoorSettings, hosts_of
from twinstream.mesh.events import EventPublisher
from twinstream.mesh.kafka.reach import watched
from twinstream.mesh.metrics import Metrics
from twinstream.mesh.settings import MeshSettings


def make() -> Door:
    """The application with its real ports."""
    log.configure("ingest-http")
    settings, knobs = MeshSettings.from_env(), IngestSettings.from_env()
    pipeline = pipeline_file.load(settings.pipeline)
    cells.warm_up()
    gates = {
        source.name: Gate(
            source,
            Screen(
                Decoder(source, [v.by for v in pipeline.views_of(source.name)]), knobs.record_bytes
            ),
        )
        for source in pipeline.sources
    }
    threading.Thread(
        target=_end_with_parent, args=(os.getppid(),), name="parent-watch", daemon=True
    ).start()
    metrics, reach = Metrics(settings, "ingest"), watched(settings)
    app = make_app(
        Api(
            gates=gates,
            raw=KafkaRawProducer(settings, knobs.http_confirm_s),
            events=EventPublisher(settings, "/ingest_svc/http_api", bound_s=knobs.http_confirm_s),
            meter=metrics,
            clock=WallClock(),
            away=lambda: reach.away,
        )
    )
    door = DoorSettings(
        hosts=hosts_of(settings.http_host, settings.http_hosts),
        body_bytes=knobs.http_body_bytes,
        body_s=knobs.http_body_s,
        slots=knobs.http_threads,
    )
    return Door(app, door, metrics.count)


def _end_with_parent(parent: int) -> None:
    """A worker whose parent was killed would keep the port: end too."""
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(1)
