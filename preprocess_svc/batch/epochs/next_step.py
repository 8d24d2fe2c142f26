"""What the batch layer does next, told by the topics alone: a pure state machine,
so a restart in any phase goes on where it was.
"""

# Epochs count from 1. An epoch is landed when every view has its `ViewPublished`;
# until then the same cut is folded again.

from __future__ import annotations

import msgspec

from schemas.events import (
    Cut,
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
from twinstream.protocol.known_time import EARLIEST_US

ASK_AGAIN_US = 5_000_000
START = Cut(offset=-1, raw_high=-1)

Cuts = dict[str, dict[int, Cut]]
"""Per source and log partition, where an epoch ends."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What of the definition and the settings decides about epochs."""

    sources: tuple[str, ...]
    views: tuple[str, ...]
    models: tuple[str, ...]
    digest: str
    partitions: int
    seal_every_us: int = 0
    seal_after_files: int = 0
    training_growth: float = 0.0


class Seal(msgspec.Struct, frozen=True):
    """Ask ingest for the end of `epoch`; `reason` is for the log."""

    epoch: int
    wishes: int
    reason: str
    retrains: int = 0


class Wait(msgspec.Struct, frozen=True):
    """Barriers of `epoch` are missing in these (source, partition)."""

    epoch: int
    missing: tuple[tuple[str, int], ...]


class Land(msgspec.Struct, frozen=True):
    """Append the rows between two cuts to the history, fold and publish `views`.

    `files_from..files_to`: numbers of the files, end excluded; `files_to` None:
    all that are accepted by now. `after`: the cut before. `as_of_us`:
    the time of the epoch before (EARLIEST_US: none); `landed_as_of_us`:
    that of this epoch, once a view of it is published. `left_out`:
    the files that the epoch lacks by an earlier view's manifest; None:
    those that are withdrawn by now, or cannot be read.
    """

    epoch: int
    views: tuple[str, ...]
    after: Cuts
    cut: Cuts
    files_from: int
    files_to: int | None
    as_of_us: int
    landed_as_of_us: int | None = None
    left_out: tuple[int, ...] | None = None


class Train(msgspec.Struct, frozen=True):
    """Build and publish the training sets of these models as of `epoch`."""

    epoch: int
    models: tuple[str, ...]


class Rest(msgspec.Struct, frozen=True):
    """Nothing to do."""


Step = Seal | Wait | Land | Train | Rest


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
            case FileAccepted():
                self.files.setdefault(offset, event)
            case FileWithdrawn():
                self.withdrawn.add(event)
            case SealRequested():
                self.wishes = max(self.wishes, offset + 1)
            case EpochSealRequested():
                self.requested[event.epoch] = event
            case EpochSealed():
                self.sealed.setdefault((event.epoch, event.source, event.partition), event)
            case ViewPublished():
                self.published.setdefault((event.view, event.epoch), event)
            case TrainingSetPublished():
                self.training.append(event)
                self.trained.add((event.model, event.epoch, event.definition_digest))
            case RetrainRequested():
                self.retrains = max(self.retrains, offset + 1)
                self.retrain[event.model] = max(offset + 1, self.retrain.get(event.model, 0))
            case _:
                pass

    def decline(self, model: str, epoch: int, digest: str) -> None:
        """There is no row, or too few new ones, to train from: do not try this training set again
        before the next epoch (or the next start).
        """
        self.trained.add((model, epoch, digest))

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
        sets = [
            event
            for event in self.training
            if (event.model, event.definition_digest) == (model, digest)
            and event.epoch <= self.newest
        ]
        newest = max(sets, key=lambda event: event.epoch, default=None)
        asked = (
            self.requested.get(newest.epoch) if newest is not None else None
        )  # None: long ago, and deleted from its topic
        return newest if (asked.retrains if asked else 0) >= self.retrain.get(model, 0) else None

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


def next_step(plan: Plan, seen: Seen, now_us: int) -> Step:
    """The one thing to do now."""
    newest = seen.newest
    missing = tuple(view for view in plan.views if newest and (view, newest) not in seen.published)
    if missing:
        return _land(plan, seen, newest, missing)
    untrained = tuple(
        model
        for model in plan.models
        if newest and (model, newest, plan.digest) not in seen.trained
    )
    if untrained:
        return Train(newest, untrained)
    return _open_epoch(plan, seen, newest + 1, now_us)


def _open_epoch(plan: Plan, seen: Seen, epoch: int, now_us: int) -> Step:
    """Of the epoch that is not landed: wait for its barriers, land it, or ask for its end when
    there is a reason.
    """
    places = [
        (source, partition) for source in plan.sources for partition in range(plan.partitions)
    ]
    missing = tuple(place for place in places if (epoch, *place) not in seen.sealed)
    if not missing:
        return _land(plan, seen, epoch, plan.views)
    asked = seen.requested.get(epoch)
    if asked is not None and _within(ASK_AGAIN_US, asked.requested_at_us, now_us):
        return Wait(epoch, missing)
    if asked is not None or len(missing) < len(places):
        wishes, retrains = (asked.wishes, asked.retrains) if asked else (0, 0)
        return Seal(epoch, wishes, "barriers are missing", retrains)
    reason = _reason(plan, seen, now_us)
    return Seal(epoch, seen.wishes, reason, seen.retrains) if reason else Rest()


def _within(span_us: int, at_us: int, now_us: int) -> bool:
    """Whether a moment is so long ago at most; one that is still to come was told by a wrong
    clock.
    """
    return 0 <= now_us - at_us < span_us


def _reason(plan: Plan, seen: Seen, now_us: int) -> str:
    """Why the open epoch should end now; "": it should not."""
    if seen.wishes > seen.answered:
        return "asked for"
    if any(seen.retrain.get(model, 0) > seen.retrains_answered for model in plan.models):
        return "training asked for"
    if plan.seal_every_us and not _within(plan.seal_every_us, seen.last_sealed_us, now_us):
        return "schedule"
    if (
        plan.seal_after_files
        and seen.files_end - _file_count(seen, seen.newest) >= plan.seal_after_files
    ):
        return "files"
    return ""


def _land(plan: Plan, seen: Seen, epoch: int, views: tuple[str, ...]) -> Land:
    before, known = seen.manifest(epoch - 1), seen.manifest(epoch)
    ends = before.cuts if before else {}
    return Land(
        epoch=epoch,
        views=views,
        cut={
            s: {p: _sealed(seen, epoch, s, p) for p in range(plan.partitions)} for s in plan.sources
        },
        after={
            s: {p: ends.get(s, {}).get(p, START) for p in range(plan.partitions)}
            for s in plan.sources
        },
        files_from=_file_count(seen, epoch - 1),
        files_to=known.file_count if known else None,
        as_of_us=before.as_of_us if before else EARLIEST_US,
        landed_as_of_us=known.as_of_us if known else None,
        left_out=tuple(known.left_out) if known else None,
    )


def _sealed(seen: Seen, epoch: int, source: str, partition: int) -> Cut:
    """The first barrier; a source that came into the definition after this epoch was sealed has no
    rows in it.
    """
    event = seen.sealed.get((epoch, source, partition))
    return Cut(offset=event.offset, raw_high=event.raw_high) if event else START


def _file_count(seen: Seen, epoch: int) -> int:
    manifest = seen.manifest(epoch)
    return manifest.file_count if manifest else 0
