"""All that the control topics said so far: the batch layer's only memory, read at each start."""

from __future__ import annotations

from schemas.events import (
    EpochSealed,
    EpochSealRequested,
    Event,
    FileAccepted,
    FileWithdrawn,
    RetrainRequested,
    SealRequested,
    TrainingSetPublished,
    ViewPublished,
)
from twinstream.protocol.file_state import Withdrawals


class Seen:
    """All that the topics said so far, in the order in which each topic says it."""

    def __init__(self, started_us: int = 0) -> None:
        self.started_us = started_us
        self.files: dict[int, FileAccepted] = {}
        """By number, which is the event's offset in its topic."""
        self.withdrawn = Withdrawals()
        self.requested: dict[int, EpochSealRequested] = {}
        self.sealed: dict[tuple[int, str, int], EpochSealed] = {}
        self.published: dict[tuple[str, int], ViewPublished] = {}
        self.training: list[TrainingSetPublished] = []
        self.trained: set[tuple[str, int, str]] = set()
        self.retrain: dict[str, int] = {}
        """By model, how many messages its topic held with the last request for retraining:
        no date decides.
        """
        self.retrains = self.wishes = 0

    def take(self, event: Event, offset: int) -> None:
        """Learn one event; `offset` is its place in its topic, which has one partition."""
        match event:
            case FileAccepted() | FileWithdrawn():
                self._take_file(event, offset)
            case SealRequested():
                self.wishes = max(self.wishes, offset + 1)
            case RetrainRequested():
                self._take_retrain(event.model, offset + 1)
            case EpochSealRequested():
                self.requested[event.epoch] = event
            case EpochSealed():
                self.sealed.setdefault((event.epoch, event.source, event.partition), event)
            case ViewPublished():
                self.published.setdefault((event.view, event.epoch), event)
            case TrainingSetPublished():
                self.training.append(event)
                self.decline(event.model, event.epoch, event.definition_digest)
            case _:
                pass

    def _take_file(self, event: FileAccepted | FileWithdrawn, offset: int) -> None:
        if isinstance(event, FileWithdrawn):
            self.withdrawn.add(event)
        else:
            self.files.setdefault(offset, event)

    def _take_retrain(self, model: str, count: int) -> None:
        """`count`: how many messages the topic of requests for retraining holds by now."""
        self.retrains = max(self.retrains, count)
        self.retrain[model] = max(count, self.retrain.get(model, 0))

    def is_trained(self, event: TrainingSetPublished) -> bool:
        """Whether this model has a training set of this epoch and definition."""
        return (event.model, event.epoch, event.definition_digest) in self.trained

    def decline(
        self,
        model: str,
        epoch: int,
        digest: str,
    ) -> None:
        """Do not try this training set again before the next epoch (or the next start): it is
        there, or there is no row, or too few new ones, to train from.
        """
        self.trained.add((model, epoch, digest))

    def first_seal(self, epoch: int) -> EpochSealed | None:
        """The first that its topic says of the end of an epoch; None: nothing any more."""
        return next((e for (number, _, _), e in self.sealed.items() if number == epoch), None)

    @property
    def files_end(self) -> int:
        """The number behind that of the last accepted file."""
        return max(self.files, default=-1) + 1

    def is_withdrawn(self, number: int) -> bool:
        """Whether a user took this file back."""
        return self.withdrawn.covers(self.files[number])

    def training_set_before(self, model: str, digest: str) -> TrainingSetPublished | None:
        """The newest training set of this definition, unless retraining was asked for after its
        epoch's end was.
        """
        sets = [event for event in self.training if self._is_of(event, model, digest)]
        newest = max(sets, key=lambda event: event.epoch, default=None)
        if newest is None:
            return None
        asked = self.requested.get(newest.epoch)  # None: long ago, and deleted from its topic
        answered = asked.retrains if asked else 0
        return newest if answered >= self.retrain.get(model, 0) else None

    def _is_of(
        self,
        event: TrainingSetPublished,
        model: str,
        digest: str,
    ) -> bool:
        mine = (event.model, event.definition_digest) == (model, digest)
        return mine and event.epoch <= self.newest

    @property
    def newest(self) -> int:
        """The last epoch of which any view is published; 0: none."""
        return max((epoch for _, epoch in self.published), default=0)

    def manifest(self, epoch: int) -> ViewPublished | None:
        """Any view's manifest of an epoch: all agree in cuts, files and time."""
        return next((event for (_, e), event in self.published.items() if e == epoch), None)

    @property
    def last_sealed_us(self) -> int:
        """When the newest epoch's end was asked for; at the start of this process if never."""
        newest = max(self.believed, key=lambda event: event.epoch, default=None)
        return self.started_us if newest is None else newest.requested_at_us

    @property
    def believed(self) -> list[EpochSealRequested]:
        """Requests of epochs up to the open one: what asks for more was not asked by a batch
        layer.
        """
        return [event for epoch, event in self.requested.items() if epoch <= self.newest + 1]

    @property
    def answered(self) -> int:
        """How many of the users' wishes the requests so far answer."""
        return max((min(event.wishes, self.wishes) for event in self.believed), default=0)

    @property
    def retrains_answered(self) -> int:
        """How many of the requests for retraining they answer."""
        return max((min(event.retrains, self.retrains) for event in self.believed), default=0)
