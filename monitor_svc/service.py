"""The wiring as data: what this service reads, which handler takes it, what it emits. Open this first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from monitor_svc import handlers
from monitor_svc.state import State
from schemas import events as ev
from schemas.topics import SERVICES, dead_letter, records_accepted, topic_of
from twinstream.define.pipeline import Pipeline

Handler = Callable[[Any, State], list[ev.Event]]

HANDLERS: dict[type[ev.Event], Handler] = {
    ev.MetricObserved: handlers.handle_metric_observed,
    ev.PredictionServed: handlers.handle_prediction_served,
    ev.FileAccepted: handlers.handle_file_accepted,
    ev.ViewPublished: handlers.handle_view_published,
    ev.TrainingSetPublished: handlers.handle_training_set_published,
    ev.ModelTrained: handlers.handle_model_trained,
    ev.ModelPromoted: handlers.handle_model_promoted,
    ev.ModelRejected: handlers.handle_model_rejected,
    ev.ModelRolledBack: handlers.handle_model_rolled_back,
    ev.DriftDetected: handlers.handle_drift_detected,
    ev.RetrainRequested: handlers.handle_retrain_requested,
}
EMITS: tuple[type[ev.Event], ...] = (ev.DriftDetected, ev.RetrainRequested, ev.MetricObserved)

PREDICTIONS = topic_of(ev.PredictionServed)
METRICS = topic_of(ev.MetricObserved)
DEAD_LETTERS: dict[str, str] = {dead_letter(service): service for service in SERVICES}
FACTS: tuple[str, ...] = tuple(
    sorted({topic_of(kind) for kind in HANDLERS} - {PREDICTIONS, METRICS})
)
"""Topics of rare events, read from their beginning."""


def label_topics(pipeline: Pipeline) -> dict[str, str]:
    """Logs of the sources that labels come from: topic to source."""
    return {
        records_accepted(model.label.source.name): model.label.source.name
        for model in pipeline.models
    }


def handle(event: ev.Event, state: State) -> list[ev.Event]:
    """Hand an event to its handler; what has none is none of ours."""
    handler = HANDLERS.get(type(event))
    return handler(event, state) if handler else []
