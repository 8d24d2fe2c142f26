"""Training as data: what it reads, what it does about it, what it writes.

Every event is folded into what is left to do (`Backlog.apply`); `WORK` says who does it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from schemas.events import (
    Event,
    MetricObserved,
    ModelHeld,
    ModelPromoted,
    ModelRejected,
    ModelRolledBack,
    ModelTrained,
    RetrainRequested,
    TrainingSetPublished,
)
from schemas.topics import dead_letter
from train_svc.backlog import Backlog, Judgement, Training
from train_svc.handlers import handle_model_trained, handle_training_set_published
from train_svc.ports import Ports
from train_svc.settings import TrainSettings
from twinstream.mesh.service import Service

WORK: Mapping[type[Any], Callable[[Any, Ports], list[Event]]] = {
    Training: handle_training_set_published,
    Judgement: handle_model_trained,
}
SERVICE = Service(
    name="train",
    writer="train",
    settings=TrainSettings,
    consumes={
        TrainingSetPublished: Backlog.apply,
        RetrainRequested: Backlog.apply,
        ModelTrained: Backlog.apply,
        ModelPromoted: Backlog.apply,
        ModelRejected: Backlog.apply,
        ModelRolledBack: Backlog.apply,
        ModelHeld: Backlog.apply,
    },
    produces=(ModelTrained, ModelPromoted, ModelRejected, MetricObserved, dead_letter("train")),
    state="none but the attempts at failed work, `DATA/quarantine/train.json`",
)
