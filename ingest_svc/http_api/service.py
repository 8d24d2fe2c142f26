"""Ingest over HTTP as data: it reads no topic, and writes what clients could write themselves."""

from __future__ import annotations

from ingest_svc.settings import IngestSettings
from schemas.events import DataArrived, MetricObserved
from schemas.topics import record_sent
from twinstream.mesh.service import SOURCE, Service

SERVICE = Service(
    name="ingest-http",
    writer="client",
    settings=IngestSettings,
    produces=(record_sent(SOURCE), DataArrived, MetricObserved),
    serves=True,
)
