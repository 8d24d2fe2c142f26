"""Everything that is known about one model while it serves: joined labels, quality, drift,
and what follows from them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Mapping
from typing import Any

import msgspec
import numpy as np

from monitor_svc.comparing import Comparisons
from monitor_svc.drift import ABSOLUTE_ERROR, LARGEST, LOG_LOSS, ModelDrift, bounded
from monitor_svc.label_files import LabelFiles
from monitor_svc.label_rows import Asked, LabelRow, Outcome
from monitor_svc.labels import Joiner
from monitor_svc.quality import MAX_RELEASES, Quality, log_loss
from monitor_svc.retraining import reason_to_retrain
from monitor_svc.settings import MonitorSettings
from twinstream.define.fields.base import Input
from twinstream.define.model import Model
from twinstream.protocol.outcomes import join_key, question_key
from twinstream.protocol.predictions import Prediction

SCORE_BINS = 40


class ModelWatch:
    """Takes the predictions and labels of one model, in the order in which they became known."""

    def __init__(self, model: Model, knobs: MonitorSettings) -> None:
        self.model, self._knobs = model, knobs
        self.joiner = Joiner(model.label, knobs.max_kept)
        self._binary = model.label.binary
        self.quality = Quality(knobs.rolling, knobs.quality_step, binary=self._binary)
        self.comparisons = Comparisons(binary=self._binary)
        self.predictions: dict[str, int] = {}
        self.last_release: str = ""
        self.last_at_us = 0
        self.last_served_us = 0
        self.last_labelled_us = 0
        self.unjoinable = 0
        self.label_files = LabelFiles()
        self.predicted_total = 0
        self.scores: deque[float] = deque(maxlen=knobs.window)
        self.model_digest = ""
        self.drift = ModelDrift(knobs, self._loss)
        self._judged: tuple[str, int, int] = ("", 0, 0)

    def predicted(self, event: Prediction, due_from_us: int) -> list[Outcome]:
        """Take a prediction; returns outcomes whose labels came before it."""
        if abs(event.output) > LARGEST:
            event = msgspec.structs.replace(event, output=bounded(event.output))
        self._counted(event)
        if not event.canary:
            self._served(event)
        key = join_key(self.model.label, self.model.spine, event.request)
        if key is None:
            self.unjoinable += 1
            return []
        found = self.joiner.ask(key, self._asked(event), due_from_us)
        return self._take(found, max(event.at_us, due_from_us))

    def _counted(self, event: Prediction) -> None:
        """A prediction of any model, and its release."""
        release = str(event.release)
        if release not in self.predictions and len(self.predictions) >= MAX_RELEASES:
            del self.predictions[next(iter(self.predictions))]
        self.predictions[release] = self.predictions.get(release, 0) + 1
        self.predicted_total += 1
        self.last_at_us, self.last_served_us = event.at_us, event.served_at_us

    def _served(self, event: Prediction) -> None:
        """A prediction of the model that serves: what another one's look like is learned afresh. A
        canary's are no drift.
        """
        if event.release.model != self.model_digest:
            self.model_digest = event.release.model
            self.drift = ModelDrift(self._knobs, self._loss)
        self.last_release = str(event.release)
        self.scores.append(event.output)
        self.comparisons.predicted(event)
        numbers = self._request_numbers(event.request)
        self.drift.predicted(event.output, {**numbers, **event.features})

    def labelled(self, row: LabelRow) -> list[Outcome]:
        """Take one label record."""
        return self._take(self.joiner.label(row), row.known_us)

    def file_accepted(self, source: str) -> None:
        """A file was accepted: of labels, or of something else."""
        self.label_files.accepted(labels=source == self.model.label.source.name)
        self.joiner.unread_until_us = self.label_files.unread_until_us

    def epoch_landed(self, files: int, as_of_us: int) -> None:
        """An epoch as of this time holds the first `files` files."""
        self.label_files.landed(files, as_of_us)
        self.joiner.unread_until_us = self.label_files.unread_until_us

    def advance(self, known_us: int) -> list[Outcome]:
        """All that was known by then was given."""
        return self._take(self.joiner.advance(known_us), known_us)

    def reason_to_retrain(self) -> str | None:
        """Why this model should be trained again, if it should; looks again only after new labels
        or a new comparison. Rule: `retraining.py`.
        """
        if not self._is_news():
            return None
        scores, labels = self.quality.rolling(self.model_digest)
        return reason_to_retrain(
            scores,
            labels,
            self.model.good_enough,
            self._knobs.min_labelled,
            lasting=self.drift.lasting(),
            series=max(1, len(self.drift.findings)),
        )

    def _is_news(self) -> bool:
        """Whether labels or a comparison came since the last time."""
        steps = self.quality.all.n // self._knobs.quality_step
        before, self._judged = self._judged, (self.model_digest, steps, self.drift.checks)
        return self._judged != before

    def score_histogram(self) -> dict[str, list[float]]:
        """Shares of scores in 40 equal bins: of the latest predictions and of the model's first
        ones. Numbers have no bounds to lie between, and none is given.
        """
        if not self._binary:
            return {"recent": [], "first": []}
        shares = {"recent": list(self.scores), "first": self.drift.first_scores}
        return {name: _shares(values) for name, values in shares.items()}

    def _take(self, outcomes: list[Outcome], known_us: int) -> list[Outcome]:
        for outcome in outcomes:
            self.last_labelled_us = max(self.last_labelled_us, known_us)
            self.quality.take(outcome, known_us)
            self.comparisons.take(outcome)
            if outcome.asked.model_digest == self.model_digest and outcome.label is not None:
                self.drift.labelled(self._lost(outcome.asked.score, outcome.label))
        return outcomes

    @property
    def _loss(self) -> str:
        """What is watched of labelled predictions, by its name."""
        return LOG_LOSS if self._binary else ABSOLUTE_ERROR

    def _lost(self, score: float, label: float) -> float:
        """Of one prediction."""
        return log_loss(score, label) if self._binary else bounded(abs(score - label))

    def _asked(self, event: Prediction) -> Asked:
        return Asked(
            model=event.model,
            release=str(event.release),
            model_digest=event.release.model,
            at_us=event.at_us,
            score=event.output,
            canary=event.canary,
            own=self._own(event.request),
            shadow=bounded(event.shadow.output) if event.shadow else 0.0,
            shadow_digest=event.shadow.model_digest if event.shadow else "",
        )

    def _own(self, request: Mapping[str, Any]) -> Hashable:
        """The id of the question's own record, where its label's source may hold it."""
        spine = self.model.spine
        return question_key(spine, spine.id_fields, request) if self.model.own_records else None

    def _request_numbers(self, request: Mapping[str, Any]) -> dict[str, Any]:
        fields = self.model.spine.fields
        return {n: v for n, v in request.items() if n in fields and fields[n].input is Input.NUMBER}


def _shares(scores: list[float]) -> list[float]:
    counts = np.histogram(scores, bins=SCORE_BINS, range=(0.0, 1.0))[0]
    return [round(float(n), 5) for n in counts / max(1, len(scores))]
