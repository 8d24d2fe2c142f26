"""The train service as a table: what is read, what is done about it, what comes of it. State is what the topics say."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

import structlog

from schemas.events import (
    Event,
    ModelPromoted,
    ModelRejected,
    ModelRolledBack,
    ModelTrained,
    RetrainRequested,
    TrainingSetPublished,
)
from schemas.topics import topic_of
from train_svc.backlog import Backlog, Judgement, Training
from train_svc.handlers import handle_model_trained, handle_training_set_published
from train_svc.ports import Ports
from twinstream.errors import MeshError, UndecodableEventError

CONSUMES = (TrainingSetPublished, RetrainRequested, ModelTrained, ModelPromoted, ModelRejected, ModelRolledBack)
HANDLERS: dict[type[Any], Callable[[Any, Ports], list[Event]]] = {
    Training: handle_training_set_published,
    Judgement: handle_model_trained,
}
EMITS = (ModelTrained, ModelPromoted, ModelRejected)
TOPICS = tuple(dict.fromkeys(topic_of(event) for event in CONSUMES))
ATTEMPTS = 3
log = structlog.get_logger()


class Reader(Protocol):
    """Events of the topics, from their beginning."""

    def poll(self, timeout: float = 1.0) -> tuple[Event, Any] | None: ...
    def at_end(self) -> bool: ...


class Publisher(Protocol):
    """Publishes events in order."""

    def publish(self, event: Event, key: str | bytes | None = None, *, wait: bool = True) -> object: ...


PutDead = Callable[[Any, str], None]
"""Dead-letters a message that could not be read, with why."""


class Service:
    """Reads all topics to their end, does what is next, and reads on. `state` says what it is doing."""

    def __init__(self, reader: Reader, publisher: Publisher, ports: Ports, put_dead: PutDead) -> None:
        self._reader, self._publisher, self._ports, self._put_dead = reader, publisher, ports, put_dead
        self._backlog = Backlog([model.name for model in ports.pipeline.models])
        self._failed: dict[str, int] = {}
        self.state = "reading"

    def run(self) -> None:
        """For ever; ends by an exception or a signal."""
        while True:
            self.step()

    def step(self) -> bool:
        """Reads to the end and does one piece of work, or waits up to a second for an event; True when work was done."""
        while not self._reader.at_end():
            self._read(0.2)
        work = self._backlog.next(self._ports.pipeline.digest, self._ports.settings.min_growth)
        if work is None:
            self.state = "waiting"
            self._read(1.0)
            return False
        self._do(work)
        return True

    def _read(self, timeout_s: float) -> None:
        try:
            found = self._reader.poll(timeout_s)
        except UndecodableEventError as error:
            self._put_dead(error.message, str(error))
            return
        if found is not None:
            self._backlog.apply(found[0])

    def _do(self, work: Training | Judgement) -> None:
        """Handles one piece of work and publishes what came of it; what failed for good becomes a rejection."""
        model, digest = work.training_set.model, work.training_set.digest
        self.state = f"{'training' if isinstance(work, Training) else 'judging'} {model}"
        started = time.monotonic()
        try:
            events = HANDLERS[type(work)](work, self._ports)
        except MeshError as error:
            events = self._given_up(work, error)
        for event in events:
            self._publisher.publish(event, key=model)
            _tell(event, seconds=round(time.monotonic() - started, 2), training_set=digest[:12], rows=work.training_set.rows)

    def _given_up(self, work: Training | Judgement, error: MeshError) -> list[Event]:
        """A rejection when the same work failed three times; otherwise nothing, and it is tried again."""
        digest = work.training_set.digest
        self._failed[digest] = self._failed.get(digest, 0) + 1
        log.warning("training_failed", model=work.training_set.model, attempt=self._failed[digest], reason=str(error))
        if self._failed[digest] < ATTEMPTS:
            self._read(1.0)
            return []
        name = work.trained.model_digest if isinstance(work, Judgement) else f"set:{digest}"
        now_us = self._ports.clock.now_us()
        return [ModelRejected(model=work.training_set.model, model_digest=name, reason=str(error), metrics={}, rejected_at_us=now_us)]


def _tell(event: Event, **facts: object) -> None:
    """One line per event; metrics without those of the validation rows."""
    metrics = {name: round(value, 4) for name, value in getattr(event, "metrics", {}).items() if "validation" not in name}
    name = {"ModelTrained": "model_trained", "ModelPromoted": "model_promoted", "ModelRejected": "model_rejected"}[type(event).__name__]
    log.info(
        name, model=getattr(event, "model", ""), digest=getattr(event, "model_digest", "")[:12], reason=getattr(event, "reason", ""), **facts,
        metrics=metrics)
