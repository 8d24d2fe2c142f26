"""The predictor as data: what it reads, which handler takes it, what it writes.

Questions come over HTTP: `routes.py`.
"""

from __future__ import annotations

from predict_svc.api.releases import Lifecycle
from predict_svc.api.settings import PredictSettings
from schemas.events import MetricObserved, ModelPromoted, ModelRolledBack, PredictionServed
from schemas.topics import dead_letter
from twinstream.mesh.service import Service

SERVICE = Service(
    name="predict",
    writer="predict",
    settings=PredictSettings,
    consumes={ModelPromoted: Lifecycle.apply, ModelRolledBack: Lifecycle.apply},
    produces=(PredictionServed, MetricObserved, dead_letter("predict")),
    serves=True,
)
