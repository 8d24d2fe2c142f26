"""How each topic is read: facts from their beginning, others from where their past matters."""

from __future__ import annotations

import msgspec

from monitor_svc.adapters.kafka_topics import Topics
from monitor_svc.service import SERVICE
from monitor_svc.state import State
from monitor_svc.telemetry import SECOND_US
from schemas import events as ev
from schemas.topics import SERVICES, dead_letter, records_accepted, topic_of
from twinstream.define.pipeline import Pipeline

DAY_US = 86_400 * SECOND_US
PREDICTIONS = topic_of(ev.PredictionServed)
METRICS = topic_of(ev.MetricObserved)
DEAD_LETTERS: dict[str, str] = {dead_letter(service): service for service in SERVICES}
FACTS: tuple[str, ...] = tuple(
    topic for topic in SERVICE.control_topics if topic not in {PREDICTIONS, METRICS}
)
"""Topics of rare events."""


class Streams(msgspec.Struct, frozen=True):
    """What is read: rare facts, metrics, dead letters, predictions, logs of label sources."""

    facts: Topics
    metrics: Topics
    dead_letters: Topics
    predictions: Topics
    labels: Topics

    def all(self) -> tuple[Topics, ...]:
        return (self.facts, self.metrics, self.dead_letters, self.predictions, self.labels)


def streams_of(
    state: State,
    now_us: int,
) -> Streams:
    """Readers of all topics."""
    mesh, knobs = state.mesh, state.knobs
    wall = mesh.clock == "wall"
    back_us = now_us - round(knobs.lookback_days * DAY_US) if wall else None
    waiting_us = now_us - waiting_back_us(state) if wall else None
    history_us = now_us - knobs.history_s * SECOND_US
    return Streams(
        facts=Topics(mesh, FACTS),
        metrics=Topics(mesh, [METRICS], history_us),
        dead_letters=Topics(mesh, DEAD_LETTERS, back_us),
        predictions=Topics(mesh, [PREDICTIONS], waiting_us),
        labels=Topics(mesh, label_topics(state.pipeline), waiting_us),
    )


def waiting_back_us(state: State) -> int:
    """So far back lie the predictions that may still wait for their label, or see it revised: two
    horizons of the longest, if that is more than the setting.
    """
    labels = [model.label for model in state.pipeline.models]
    longest_us = max(label.horizon_us for label in labels)
    lookback_us = round(state.knobs.lookback_days * DAY_US)
    return max(lookback_us, 2 * longest_us)


def label_topics(pipeline: Pipeline) -> dict[str, str]:
    """Logs of the sources that labels come from: topic to source."""
    return {
        records_accepted(model.label.source.name): model.label.source.name
        for model in pipeline.models
    }


def handle(
    event: ev.Event,
    state: State,
) -> list[ev.Event]:
    """Hand an event to its handler; what has none is none of ours."""
    handler = SERVICE.consumes.get(type(event))
    return handler(event, state) if handler else []
