"""One question to one release: wait for the position, read the views, assemble, score; returns the
answer and its events.
"""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate, chain
from typing import Any

from predict_svc.api.freshness import Freshness
from predict_svc.api.messages import (
    Answer,
    ConflictError,
    PredictBody,
    RequestError,
    ScoreError,
    Timing,
    check_count,
    moment,
)
from predict_svc.api.served import Scored, events_of
from predict_svc.api.serving import Active, ViewReads
from predict_svc.api.unjoinable import warnings_of
from predict_svc.api.view_lookup import RowPositions, read_keys
from predict_svc.view.errors import WindowNotKept
from schemas.events import PredictionServed, ViewPosition
from twinstream.define.quick_values import DoubtError
from twinstream.features.arrays import Features, Numbers
from twinstream.features.quick import QuickQuestion
from twinstream.features.request import Question, RowError
from twinstream.mesh.clock import Clock

Positions = dict[str, RowPositions]
Rows = Sequence[dict[str, Any]]
Answered = tuple[Answer, list[PredictionServed]]
Together = tuple[list[Answer], list[PredictionServed]]


class Predictor:
    """Answers questions from the views of this host."""

    def __init__(
        self,
        readers: Mapping[str, ViewReads],
        freshness: Freshness,
        clock: Clock,
        *,
        max_rows: int,
        canary_failed: Callable[[Active, Exception], None] = lambda _active, _error: None,
    ) -> None:
        self._readers = readers
        self.freshness = freshness
        self._clock = clock
        self.max_rows = max_rows
        self._canary_failed = canary_failed

    def predict(self, active: Active, body: PredictBody) -> Answered:
        """Raises RequestError and its kinds; ViewNotReadyError when the release's epoch is no longer
        kept.
        """
        question = self._question(active, body)
        started = time.perf_counter()
        self.freshness.wait(body, active.views, active.release.epoch)
        waited_ms = _ms(time.perf_counter() - started)
        ((answer,), events) = self._answers(active, [body.rows], question, waited_ms)
        return answer, events

    def predict_together(self, active: Active, bodies: Sequence[PredictBody]) -> Together:
        """The answers to requests that ask for no position and no moment, with one read of the
        views and one run of the network.

        Raises DoubtError when one of them has to be answered alone, and as `predict`.
        """
        requests = [body.rows for body in bodies]
        rows = list(chain.from_iterable(requests))
        question = active.quick.decode(rows, self._clock.now_us())
        if question is None or not all(requests):
            raise DoubtError
        return self._answers(active, requests, question, 0.0)

    def _answers(
        self,
        active: Active,
        requests: Sequence[Rows],
        question: QuickQuestion | Question,
        waited_ms: float,
    ) -> Together:
        """An answer to each request, and the events of all; `question` holds all their rows."""
        started = time.perf_counter()
        found, positions = self._read(active, question)
        features = _features(active, question, found)
        read = time.perf_counter()
        active, scores, shapes = self._scored(active, features)
        timing = Timing(
            waited_ms=waited_ms,
            views_ms=_ms(read - started),
            model_ms=_ms(time.perf_counter() - read),
        )
        scored = Scored(
            uuid.uuid4().hex,
            list(chain.from_iterable(requests)),
            question.at_us.tolist(),
            positions,
            features,
            scores,
            shapes,
            _starts(requests) if len(requests) > 1 else [],
        )
        answers = self._apart(active, scored, timing)
        events = events_of(active, scored, self._clock.now_us())
        return answers, events

    def _scored(self, active: Active, features: Features) -> tuple[Active, list[float], list[int]]:
        """What answered, and the scores: what serves takes the place of a canary that cannot."""
        served = active.otherwise
        if served is not None:
            try:
                return active, *_scores(active, features)
            except Exception as error:  # noqa: BLE001  (a candidate's failure is nobody's answer)
                self._canary_failed(active, error)
        return served or active, *_scores(served or active, features)

    def _apart(self, active: Active, scored: Scored, timing: Timing) -> list[Answer]:
        """What each request is answered."""
        age_of = self._ages()
        label = active.form.model.label
        answers = []
        for id_, rows in scored.requests():
            seen = {view: found.seen_by(rows) for view, found in scored.positions.items()}
            answers.append(
                Answer(
                    predictions=scored.scores[rows],
                    id=id_,
                    release=active.name,
                    position=seen,
                    age_ms=age_of(seen),
                    timing=timing,
                    warnings=warnings_of(label, enumerate(scored.rows[rows])),
                )
            )
        return answers

    def _ages(self) -> Callable[[dict[str, ViewPosition]], float | None]:
        """The ages of positions at one moment: most requests that are answered together see the
        same, which is looked up once.
        """
        known: dict[tuple[int, ...], float | None] = {}
        kept: list[dict[str, ViewPosition]] = []

        def age_of(seen: dict[str, ViewPosition]) -> float | None:
            identity = tuple(map(id, seen.values()))
            if identity not in known:
                known[identity] = self.freshness.age_ms(seen)
                kept.append(seen)  # an object that is alive keeps its identity
            return known[identity]

        return age_of

    def _question(self, active: Active, body: PredictBody) -> QuickQuestion | Question:
        """The rows, typed: the quick way if it can, else the exact one, which knows what is wrong."""
        check_count(len(body.rows), self.max_rows)
        asked_us = moment(body.at, self._clock.now_us())
        if (quick := active.quick.decode(body.rows, asked_us)) is not None:
            return quick
        try:
            question = active.form.decode(body.rows, asked_us)
        except RowError as error:
            raise RequestError.of_row(error) from error
        for fault in active.form.unjoinable(body.rows):
            raise RequestError.of_row(fault)
        return question

    def _read(
        self, active: Active, question: QuickQuestion | Question
    ) -> tuple[dict[str, Numbers], Positions]:
        """Per view its answers float64[n, n_out] and the position of each row."""
        answers, positions = {}, {}
        epoch = active.release.epoch
        try:
            for view, keys in question.keys.items():
                reader = self._readers[view]
                answers[view], positions[view] = read_keys(reader, keys, question.at_us, epoch)
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
    """A score for each row and the batch shape that it was computed in.

    Raises ScoreError for one that is not finite.
    """
    scores, shapes = active.network.predict(features)
    finite = map(math.isfinite, scores)
    if not all(finite):
        raise ScoreError(
            f"model {active.form.model.name} of release {active.release} gives a score that is not"
            " a finite number: roll it back"
        )
    return scores, shapes


def _starts(requests: Sequence[Rows]) -> list[int]:
    """Where the rows of each request begin among those of all."""
    lengths = map(len, requests[:-1])
    return list(accumulate(lengths, initial=0))


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
