"""What is left to train, folded from the topics alone: so a restart goes on where the last process
stopped.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from schemas.events import (
    ModelHeld,
    ModelPromoted,
    ModelRejected,
    ModelTrained,
    RetrainRequested,
    TrainingSetPublished,
)
from twinstream.protocol.succession import Succession, remember

UNTRAINED = "set:"
"""A rejection before training names its training set in place of a model digest,
after this prefix.
"""


KEPT = 1000
"""So many training sets and trainings of a model are remembered."""


class Training(msgspec.Struct, frozen=True):
    """One training to do. `round` counts earlier trainings on the same set, and moves the seed;
    `champion` is the model that answers now.
    """

    training_set: TrainingSetPublished
    round: int
    reason: str
    champion: ModelPromoted | None = None


class Judgement(msgspec.Struct, frozen=True):
    """A trained model that has no verdict yet, the set that it was trained on, the model that
    answers now, and who holds it there.
    """

    trained: ModelTrained
    training_set: TrainingSetPublished
    champion: ModelPromoted | None
    held: ModelHeld | None = None


class ModelHistory:
    """What happened to one model so far."""

    def __init__(self) -> None:
        self.sets: dict[str, TrainingSetPublished] = {}
        self.newest: TrainingSetPublished | None = None
        self.trained: list[ModelTrained] = []
        self.judged: set[str] = set()
        self.succession = Succession()
        self.retrain: RetrainRequested | None = None

    def apply(self, event: Any) -> None:
        """Takes one event of this model, in the order of its topic."""
        if isinstance(event, TrainingSetPublished):
            remember(self.sets, event.digest, event, KEPT)
            self.newest = (
                event  # by the topic's order: a lie about the epoch counts until the next one comes
            )
        elif isinstance(event, ModelTrained):
            if event not in self.trained:  # an event that is there twice is one training
                self.trained = [*self.trained[-KEPT:], event]
        elif isinstance(event, RetrainRequested):
            self.retrain = event
        else:
            self._judged(event)

    def _judged(self, event: Any) -> None:
        """What became of trained models."""
        self.succession.apply(event)
        if isinstance(event, (ModelPromoted, ModelRejected)):
            self.judged.add(event.model_digest)

    def next(self, definition_digest: str, min_growth: float) -> Training | Judgement | None:
        """What to do next: the missing verdict of the last model, else a training, else nothing."""
        return self._judgement(definition_digest) or self._training(definition_digest, min_growth)

    def _judgement(self, definition_digest: str) -> Judgement | None:
        last = self.trained[-1] if self.trained else None
        if (
            last is None
            or last.model_digest in self.judged
            or last.definition_digest != definition_digest
        ):
            return None
        training_set = self.sets.get(last.training_set_digest)
        if training_set is None:
            return None
        models = self.succession
        return Judgement(last, training_set, models.serving(definition_digest), models.held)

    def _training(self, definition_digest: str, min_growth: float) -> Training | None:
        newest = self.newest
        if (
            newest is None
            or newest.definition_digest != definition_digest
            or UNTRAINED + newest.digest in self.judged
        ):
            return None
        champion = self.succession.serving(definition_digest)
        ours = [event for event in self.trained if event.definition_digest == definition_digest]
        round_ = sum(event.training_set_digest == newest.digest for event in ours)
        if (
            self.retrain is not None
            and ours
            and self.retrain.requested_at_us > ours[-1].trained_at_us
            and newest.epoch > ours[-1].epoch
        ):
            return Training(
                newest, round_, self.retrain.reason, champion
            )  # else the batch layer ends an epoch for the wish, and builds a set of it
        if round_ == 0 and self._grown(newest, ours, min_growth):
            return Training(newest, 0, "a new training set", champion)
        return None

    def _grown(
        self, newest: TrainingSetPublished, ours: list[ModelTrained], min_growth: float
    ) -> bool:
        """Whether the set has grown enough since the last one that this definition was trained
        on.
        """
        before = self.sets.get(ours[-1].training_set_digest) if ours else None
        return (
            before is None
            or min_growth <= 0
            or newest.rows - before.rows >= before.rows * min_growth
        )


class Backlog:
    """The histories of all models of a pipeline."""

    def __init__(self, models: list[str]) -> None:
        self.models = {name: ModelHistory() for name in models}

    def apply(self, event: Any) -> None:
        """Takes one event; those of models that this pipeline does not have are passed over."""
        history = self.models.get(getattr(event, "model", ""))
        if history is not None:
            history.apply(event)

    def works(self, definition_digest: str, min_growth: float) -> Iterator[Training | Judgement]:
        """What to do next for each model that has something left."""
        for history in self.models.values():
            work = history.next(definition_digest, min_growth)
            if work is not None:
                yield work
