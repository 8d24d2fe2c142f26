"""What happened in the mesh, newest last, in bounded memory: epochs, training sets, models,
dead letters, drift, retraining.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import Any

import msgspec

from schemas import events as ev
from twinstream.protocol.known_time import EARLIEST_US
from twinstream.protocol.succession import Succession, held_words

KEPT = 200
LONGEST_TEXT = 500
MOST_METRICS = 80


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """One message that a service could not handle, without its content."""

    service: str
    reason: str
    topic: str
    partition: int
    offset: int
    bytes: int
    at_us: int
    kind: str = "permanent"
    """`bug` is an alert: the mesh, not the input, is at fault."""


class Epoch(msgspec.Struct, kw_only=True):
    """One epoch as far as it is known here; `views`: when each view's base was published."""

    epoch: int
    as_of_us: int | None = None
    files: int = 0
    bytes: int = 0
    views: dict[str, int] = {}
    training_rows: dict[str, int] = {}
    definition: str = ""


class Happened(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the timeline."""

    kind: str
    what: str
    at_us: int
    model: str = ""
    digest: str = ""
    metrics: dict[str, float] = {}


class Ledger:
    """Takes events, gives the lists of the page."""

    def __init__(self, definition: str = "") -> None:
        """`definition`: digest of the one that serves."""
        self._definition = definition
        self._models: dict[str, Succession] = {}
        self.epochs: dict[int, Epoch] = {}
        self.timeline: deque[Happened] = deque(maxlen=KEPT)
        self.dead_letters: deque[DeadLetter] = deque(maxlen=KEPT)
        self.dead_letters_total: Counter[str] = Counter()
        self.promoted: dict[str, ev.ModelPromoted] = {}
        self.training_set: dict[str, ev.TrainingSetPublished] = {}
        self.drift: deque[ev.DriftDetected] = deque(maxlen=KEPT)
        self.retrain: deque[ev.RetrainRequested] = deque(maxlen=KEPT)

    def put(self, dead_letters: DeadLetter) -> None:
        self.dead_letters.append(dead_letters)
        self.dead_letters_total[dead_letters.service] += 1

    def view_published(self, event: ev.ViewPublished) -> None:
        epoch = self._epoch(event.epoch)
        if not epoch.views:
            self.happened("epoch", f"epoch {event.epoch} landed on S3", event.published_at_us)
        epoch.views[event.view] = event.published_at_us
        epoch.as_of_us = None if event.as_of_us == EARLIEST_US else event.as_of_us
        epoch.files, epoch.definition = event.file_count, event.definition_digest
        epoch.bytes += sum(file.size_bytes for file in event.files)

    def training_set_published(self, event: ev.TrainingSetPublished) -> None:
        self._epoch(event.epoch).training_rows[event.model] = event.rows
        self.training_set[event.model] = msgspec.structs.replace(event, files=[], columns=[])

    def promoted_now(self, event: ev.ModelPromoted) -> None:
        passed_over = self._follow(_shortened(event))
        self.happened(
            "passed over" if passed_over else "promoted",
            passed_over or event.reason or "promoted",
            event.promoted_at_us,
            event.model,
            event.model_digest,
            metrics=event.metrics,
        )

    def rolled_back(self, event: ev.ModelRolledBack) -> None:
        digest = event.to_model_digest[:LONGEST_TEXT]
        reason = self._follow(msgspec.structs.replace(event, to_model_digest=digest))
        self.happened(
            "passed over" if reason else "rolled back",
            reason or event.reason,
            event.rolled_back_at_us,
            event.model,
            digest,
        )

    def held(self, event: ev.ModelHeld) -> None:
        short = msgspec.structs.replace(event, reason=event.reason[:LONGEST_TEXT])
        self._follow(short)
        what = held_words(short) if event.held else f"released by {event.by or 'an operator'}"
        self.happened("held" if event.held else "released", what, event.held_at_us, event.model)

    def shadow_chosen(self, event: ev.ShadowChosen) -> None:
        what = event.reason or ("asked beside" if event.model_digest else "no candidate is asked")
        self.happened("shadow", what, event.chosen_at_us, event.model, event.model_digest)

    def canary_chosen(self, event: ev.CanaryChosen) -> None:
        what = event.reason or f"answers {event.share:.0%} of the keys"
        self.happened("canary", what, event.chosen_at_us, event.model, event.model_digest)

    def _follow(self, event: ev.ModelPromoted | ev.ModelRolledBack | ev.ModelHeld) -> str:
        """What serves from now on; returns why the event changes nothing."""
        model = self._models.setdefault(event.model, Succession())
        reason = model.apply(event)
        if (serving := model.serving(self._definition)) is not None:
            self.promoted[event.model] = serving
        return reason

    def happened(
        self,
        kind: str,
        what: str,
        at_us: int,
        model: str = "",
        digest: str = "",
        *,
        metrics: dict[str, float] | None = None,
    ) -> None:
        self.timeline.append(
            Happened(
                kind=kind,
                what=what[:LONGEST_TEXT],
                at_us=at_us,
                model=model,
                digest=digest[:LONGEST_TEXT],
                metrics=_few(metrics or {}),
            )
        )

    def lists(self) -> dict[str, Any]:
        """The page's lists, as plain data."""
        lists = {
            "epochs": [self.epochs[number] for number in sorted(self.epochs)][-50:],
            "timeline": sorted(self.timeline, key=lambda line: line.at_us)[-60:],
            "dead_letters": self._letters(),
            "drift_events": list(self.drift)[-40:],
            "retrain_events": list(self.retrain)[-20:],
        }
        found: dict[str, Any] = msgspec.to_builtins(lists)
        return found

    def _letters(self) -> dict[str, Any]:
        total, recent = dict(self.dead_letters_total), list(self.dead_letters)[-60:]
        return {"total": total, "recent": recent}

    def _epoch(self, number: int) -> Epoch:
        if number not in self.epochs and len(self.epochs) >= KEPT:
            del self.epochs[min(self.epochs)]
        return self.epochs.setdefault(number, Epoch(epoch=number, views={}, training_rows={}))


def _shortened(event: ev.ModelPromoted) -> ev.ModelPromoted:
    """What is kept of it."""
    return msgspec.structs.replace(
        event,
        model_digest=event.model_digest[:LONGEST_TEXT],
        definition_digest=event.definition_digest[:LONGEST_TEXT],
        uri=event.uri[:LONGEST_TEXT],
        metrics=_few(event.metrics),
        reason=event.reason[:LONGEST_TEXT],
        version_ids={},
    )


def _few(metrics: dict[str, float]) -> dict[str, float]:
    """As many metrics as a model of ours has: what a page shows is bounded, whatever an event
    holds.
    """
    return {name[:LONGEST_TEXT]: value for name, value in list(metrics.items())[:MOST_METRICS]}
