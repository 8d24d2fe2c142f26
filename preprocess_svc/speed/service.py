"""The speed layer as data: what it reads, which handler takes it, what it writes."""

from __future__ import annotations

from preprocess_svc.speed.settings import SpeedSettings
from preprocess_svc.speed.worker import SpeedWorker
from schemas.events import GapFound, MetricObserved, ViewPublished
from schemas.topics import dead_letter, partials_folded, records_accepted
from twinstream.mesh.service import SOURCE, VIEW, Service

SERVICE = Service(
    name="speed",
    writer="preprocess",
    settings=SpeedSettings,
    consumes={
        records_accepted(SOURCE): SpeedWorker.handle,
        GapFound: SpeedWorker.watch_gaps,
    },
    looks_up=(ViewPublished, partials_folded(VIEW)),
    produces=(partials_folded(VIEW), MetricObserved, dead_letter("preprocess")),
    state="none: where it goes on is read from its own partials",
)
