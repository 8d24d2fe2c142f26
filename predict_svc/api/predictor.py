"""One question to one release: wait for the position, read the views, assemble, score; returns the answer and its events."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from predict_svc.api.freshness import Freshness
from predict_svc.api.messages import (
    Answer,
    ConflictError,
    PredictBody,
    RequestError,
    ScoreError,
    Timing,
    moment,
)
from predict_svc.api.served import Scored, events_of
from predict_svc.api.serving import Active, ViewReads
from predict_svc.api.view_lookup import joined, read_keys
from predict_svc.view.errors import WindowNotKept
from schemas.events import PredictionServed, ViewPosition
from twinstream.define.values import stored
from twinstream.errors import RecordError
from twinstream.features.arrays import Features, Numbers
from twinstream.features.quick import QuickQuestion
from twinstream.features.request import Question, RowError
from twinstream.mesh.clock import Clock

Positions = dict[str, list[ViewPosition]]


class Predictor:
    """Answers questions from the views of this host."""

    def __init__(
        self,
        readers: Mapping[str, ViewReads],
        freshness: Freshness,
        clock: Clock,
        *,
        max_rows: int,
    ) -> None:
        self._readers, self.freshness, self._clock = readers, freshness, clock
        self.max_rows = max_rows

    def predict(self, active: Active, body: PredictBody) -> tuple[Answer, list[PredictionServed]]:
        """Raises RequestError and its kinds; ViewNotReadyError when the release's epoch is no longer kept."""
        question = self._question(active, body)
        started = time.perf_counter()
        self.freshness.wait(body, active.views, active.release.epoch)
        waited = time.perf_counter()
        answers, positions = self._read(active, question)
        features = _features(active, question, answers)
        read = time.perf_counter()
        scores, shapes = _scores(active, features)
        done = time.perf_counter()
        seen = {view: joined(found) for view, found in positions.items()}
        answer = Answer(
            predictions=scores,
            id=uuid.uuid4().hex,
            release=active.name,
            position=seen,
            age_ms=self.freshness.age_ms(seen),
            timing=Timing(
                waited_ms=_ms(waited - started),
                views_ms=_ms(read - waited),
                model_ms=_ms(done - read),
            ),
        )
        scored = Scored(
            answer.id, body.rows, question.at_us.tolist(), positions, features, scores, shapes
        )
        return answer, events_of(active, scored, self._clock.now_us())

    def _question(self, active: Active, body: PredictBody) -> QuickQuestion | Question:
        """The rows, typed: the quick way if it can, else the exact one, which knows what is wrong."""
        if not 0 < len(body.rows) <= self.max_rows:
            raise RequestError(f"rows holds {len(body.rows)} rows: give 1 to {self.max_rows}")
        asked_us = moment(body.at, self._clock.now_us())
        if (quick := active.quick.decode(body.rows, asked_us)) is not None:
            return quick
        try:
            question = active.form.decode(body.rows, asked_us)
        except RowError as error:
            raise RequestError(str(error)) from error
        _check_label_keys(active, body.rows)
        return question

    def _read(
        self, active: Active, question: QuickQuestion | Question
    ) -> tuple[dict[str, Numbers], Positions]:
        """Per view its answers float64[n, n_out] and the position of each row."""
        answers, positions = {}, {}
        try:
            for view, keys in question.keys.items():
                answers[view], positions[view] = read_keys(
                    self._readers[view], keys, question.at_us, active.release.epoch
                )
        except WindowNotKept as error:
            raise ConflictError(str(error)) from error
        return answers, positions


def _features(
    active: Active, question: QuickQuestion | Question, answers: Mapping[str, Numbers]
) -> Features:
    if isinstance(question, QuickQuestion):
        return active.quick.features(question, answers)
    return active.form.features(question, answers)


def _scores(active: Active, features: Features) -> tuple[list[float], list[int]]:
    """A score for each row and the batch shape that it was computed in; raises ScoreError for one that is not finite."""
    scores, shapes = active.network.predict(features)
    if not all(map(math.isfinite, scores)):
        raise ScoreError(
            f"model {active.form.model.name} of release {active.release} gives a score that is not"
            " a finite number: roll it back"
        )
    return scores, shapes


def _check_label_keys(active: Active, rows: Sequence[Mapping[str, Any]]) -> None:
    """What joins a question to its outcome later must be a value that its field can hold; it may be missing."""
    model = active.form.model
    for i, row in enumerate(rows):
        for name in model.label.on:
            try:
                stored(model.spine.fields[name], row.get(name))
            except RecordError as error:
                raise RequestError(f"row {i}: {name}: {error}") from error


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
