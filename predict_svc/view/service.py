"""The serving view as data: what it reads, which handler takes it, what it writes."""

from __future__ import annotations

from predict_svc.view.publications import Publications
from predict_svc.view.settings import ViewSettings
from predict_svc.view.worker import ViewWorker
from schemas.events import GapFound, MetricObserved, ViewPublished
from schemas.topics import dead_letter, partials_folded
from twinstream.mesh.service import VIEW, Service

SERVICE = Service(
    name="view",
    writer="predict",
    settings=ViewSettings,
    consumes={
        partials_folded(VIEW): ViewWorker.handle,
        ViewPublished: Publications.published,
    },
    produces=(GapFound, MetricObserved, dead_letter("predict")),
    state="`DATA/view/<view>/<partition>/`: speed states and position (LMDB), bases beside them",
)
