"""Ingest as data: what it reads, which handler takes it, what it writes."""

from __future__ import annotations

from ingest_svc.handlers import handle_data_arrived, handle_epoch_seal_requested
from ingest_svc.log_writer import LogWriter
from ingest_svc.settings import IngestSettings
from schemas.events import (
    DataArrived,
    EpochSealed,
    EpochSealRequested,
    FileAccepted,
    MetricObserved,
)
from schemas.topics import dead_letter, record_sent, records_accepted
from twinstream.mesh.service import SOURCE, Service

SERVICE = Service(
    name="ingest",
    writer="ingest",
    settings=IngestSettings,
    consumes={
        record_sent(SOURCE): LogWriter.pack,
        EpochSealRequested: handle_epoch_seal_requested,
        DataArrived: handle_data_arrived,
    },
    looks_up=(records_accepted(SOURCE), EpochSealed, FileAccepted, dead_letter("ingest")),
    produces=(
        records_accepted(SOURCE),
        EpochSealed,
        FileAccepted,
        MetricObserved,
        dead_letter("ingest"),
    ),
    state="none: where it goes on is read from the end of the log",
    drain_s=60.0,  # TWINSTREAM_INGEST_CONFIRM_S ends it sooner
)
