"""The predictor as data: what it reads, which handler takes it, what it writes.

Questions come over HTTP, `routes.py`, and over Kafka, `questions.py`.
"""

from __future__ import annotations

from predict_svc.api.questions import Questions
from predict_svc.api.settings import PredictSettings
from schemas.events import (
    CanaryChosen,
    MetricObserved,
    ModelHeld,
    ModelPromoted,
    ModelRolledBack,
    PredictionServed,
    ShadowChosen,
)
from schemas.topics import dead_letter, prediction_asked
from twinstream.mesh.service import MODEL, Service
from twinstream.protocol.releases import Lifecycle

SERVICE = Service(
    name="predict",
    writer="predict",
    settings=PredictSettings,
    consumes={
        ModelPromoted: Lifecycle.apply,
        ModelRolledBack: Lifecycle.apply,
        ModelHeld: Lifecycle.apply,
        ShadowChosen: Lifecycle.apply,
        CanaryChosen: Lifecycle.apply,
        prediction_asked(MODEL): Questions.handle,
    },
    produces=(PredictionServed, MetricObserved, dead_letter("predict")),
    serves=True,
)
