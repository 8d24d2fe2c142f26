"""One question to one release: wait for the position, read the views, assemble, score; returns the answer and its events."""

from __future__ import annotations

import math
import threading
import time
import uuid
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

import msgspec
import numpy as np

from predict_svc.api.messages import (
    Answer,
    BehindError,
    ConflictError,
    NotReadyError,
    PredictBody,
    RequestError,
    ScoreError,
    Timing,
    Wish,
    moment,
)
from predict_svc.api.serving import Active, ViewReads
from predict_svc.view.errors import ViewBehindError, ViewNotReadyError, WindowNotKept
from schemas.events import PredictionServed, ViewPosition
from twinstream.algebra import kernel
from twinstream.define.values import stored
from twinstream.errors import RecordError
from twinstream.features import record
from twinstream.features.arrays import Features, Numbers
from twinstream.features.request import Question, RowError
from twinstream.mesh.clock import Clock

NOTHING = np.zeros(0, np.int64)


class RawEnds(Protocol):
    """Where the raw topics end."""

    def __call__(
        self, sources: Sequence[str], max_age_ms: float
    ) -> Mapping[str, Mapping[int, int]]:
        """Last raw offset of each partition as of some moment not longer ago than that."""

    def age_ms(self, source: str, raw: Mapping[int, int]) -> float | None:
        """How long ago a topic held nothing beyond these offsets; None when it is longer than is remembered."""


class Scored(msgspec.Struct, frozen=True):
    """What came of the rows of one question: per view the position of each row, features, scores and batch shapes."""

    id: str
    positions: dict[str, list[ViewPosition]]
    features: Features
    scores: list[float]
    shapes: list[int]


class Predictor:
    """Answers questions from the views of this host. `sources`: names of all sources of the definition."""

    def __init__(
        self,
        readers: Mapping[str, ViewReads],
        sources: Collection[str],
        raw_ends: RawEnds,
        clock: Clock,
        *,
        wait_bound_s: float,
        max_rows: int,
        waiters: int = 6,
    ) -> None:
        self._readers, self._sources, self._raw_ends, self._clock = (
            readers,
            sources,
            raw_ends,
            clock,
        )
        self._wait_bound_s, self._max_rows = wait_bound_s, max_rows
        self._waiters = threading.BoundedSemaphore(waiters)

    def predict(self, active: Active, body: PredictBody) -> tuple[Answer, list[PredictionServed]]:
        """Raises RequestError and its kinds; ViewNotReadyError when the release's epoch is no longer kept."""
        if not 0 < len(body.rows) <= self._max_rows:
            raise RequestError(f"rows holds {len(body.rows)} rows: give 1 to {self._max_rows}")
        asked_us = moment(body.at, self._clock.now_us())
        try:
            question = active.form.decode(body.rows, asked_us)
        except RowError as error:
            raise RequestError(str(error)) from error
        _check_label_keys(active, body.rows)
        started = time.perf_counter()
        self.wait(body, [view.name for view in active.form.model.views], active.release.epoch)
        waited = time.perf_counter()
        answers, positions = self._read(active, question)
        features = active.form.features(question, answers)
        read = time.perf_counter()
        scores, shapes = active.network.predict(features)
        if not all(map(math.isfinite, scores)):
            raise ScoreError(
                f"model {active.form.model.name} of release {active.release} gives a score that is not a finite number: roll it back"
            )
        done = time.perf_counter()
        seen = {view: joined(found) for view, found in positions.items()}
        answer = Answer(
            predictions=scores,
            id=uuid.uuid4().hex,
            release=str(active.release),
            position=seen,
            age_ms=self.age_ms(seen),
            timing=Timing(
                waited_ms=_ms(waited - started),
                views_ms=_ms(read - waited),
                model_ms=_ms(done - read),
            ),
        )
        scored = Scored(answer.id, positions, features, scores, shapes)
        return answer, self._events(active, body.rows, question, scored)

    def age_ms(self, positions: Mapping[str, ViewPosition]) -> float | None:
        """The age of the oldest of these views; None when one of them is older than is remembered."""
        ages = [
            self._raw_ends.age_ms(self._readers[view].plan.view.source.name, seen.raw)
            for view, seen in positions.items()
        ]
        known = [age for age in ages if age is not None]
        return round(max(known, default=0.0), 3) if len(known) == len(ages) else None

    def wait(self, wish: Wish, views: Sequence[str], epoch: int | None) -> None:
        """Returns when every view, read at `epoch`, contains what is wished of its source; raises BehindError after the bound."""
        wanted = self._wanted(wish, views)
        give_up = time.monotonic() + self._wait_bound_s
        for view in views:
            raw = wanted.get(self._readers[view].plan.view.source.name)
            if raw:
                self._wait_for(view, dict(raw), give_up - time.monotonic(), epoch)

    def _wait_for(self, view: str, raw: dict[int, int], bound_s: float, epoch: int | None) -> None:
        reader = self._readers[view]
        if not self._waiters.acquire(blocking=False):
            raise NotReadyError("too many requests wait for a position: try again in a moment")
        try:
            reader.wait_for(raw, max(bound_s, 0.0), None, epoch)
        except ViewBehindError as error:
            found = msgspec.json.encode(joined(list(reader.positions(epoch).values()))).decode()
            raise BehindError(
                f"view {view} did not reach {raw} within {self._wait_bound_s:g} s, it stands at {found}: ask again, or for less"
            ) from error
        finally:
            self._waiters.release()

    def _wanted(self, wish: Wish, views: Sequence[str]) -> Mapping[str, Mapping[int, int]]:
        """Per source the raw offsets that must be contained; a name that is no source's is refused, for waiting for nothing would lie."""
        unknown = sorted(set(wish.min_position) - set(self._sources))
        if unknown:
            raise RequestError(
                f"min_position names {', '.join(unknown)}; the sources are {', '.join(sorted(self._sources))}"
            )
        if wish.max_staleness_ms is None:
            return wish.min_position
        if not wish.max_staleness_ms >= 0:  # also for NaN
            raise RequestError(f"max_staleness_ms is {wish.max_staleness_ms:g}: give 0 or more")
        sources = sorted({self._readers[view].plan.view.source.name for view in views})
        ends = self._raw_ends(sources, wish.max_staleness_ms)
        return {
            source: _highest(ends.get(source, {}), wish.min_position.get(source, {}))
            for source in sources
        }

    def _read(
        self, active: Active, question: Question
    ) -> tuple[dict[str, Numbers], dict[str, list[ViewPosition]]]:
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

    def _events(
        self, active: Active, rows: Sequence[dict[str, Any]], question: Question, scored: Scored
    ) -> list[PredictionServed]:
        """One event a row, with what is needed to rebuild it."""
        now_us, inputs = self._clock.now_us(), active.form.inputs
        return [
            PredictionServed(
                id=f"{scored.id}-{i}",
                model=active.form.model.name,
                release=active.release,
                at_us=int(question.at_us[i]),
                request=row,
                positions={view: found[i] for view, found in scored.positions.items()},
                features=record.values(scored.features, i, inputs),
                features_digest=record.digest(scored.features, i, inputs),
                output=scored.scores[i],
                batch_shape=scored.shapes[i],
                served_at_us=now_us,
            )
            for i, row in enumerate(rows)
        ]


def read_keys(
    reader: ViewReads,
    keys: Sequence[bytes | None],
    at_us: np.ndarray[Any, np.dtype[np.int64]],
    epoch: int | None,
) -> tuple[Numbers, list[ViewPosition]]:
    """Answers and position of each key at its moment; a row without a key gets what a key never seen gets."""
    if len(keys) == 1 and keys[0] is not None:
        answer, position = reader.read(keys[0], int(at_us[0]), epoch)
        return answer[None, :], [position]
    given = [i for i, key in enumerate(keys) if key is not None]
    found, places = reader.read_many([key for key in keys if key is not None], at_us[given], epoch)
    if len(given) == len(keys):
        return found, places
    out = np.stack([kernel.read(reader.plan, NOTHING, int(at)) for at in at_us])
    out[given] = found
    everywhere = joined(list(reader.positions(epoch).values()))
    positions = [everywhere] * len(keys)
    for i, place in zip(given, places, strict=True):
        positions[i] = place
    return out, positions


def _check_label_keys(active: Active, rows: Sequence[Mapping[str, Any]]) -> None:
    """What joins a question to its outcome later must be a value that its field can hold; it may be missing."""
    model = active.form.model
    for i, row in enumerate(rows):
        for name in model.label.on:
            try:
                stored(model.spine.fields[name], row.get(name))
            except RecordError as error:
                raise RequestError(f"row {i}: {name}: {error}") from error


def joined(positions: Sequence[ViewPosition]) -> ViewPosition:
    """What all of several partitions have seen: the least of each offset."""
    first = positions[0]
    if all(position is first for position in positions):
        return first
    return ViewPosition(
        epoch=first.epoch,
        log=_least([p.log for p in positions]),
        raw=_least([p.raw for p in positions]),
    )


def not_ready(error: ViewNotReadyError) -> NotReadyError:
    """What a client reads when a view is not whole."""
    return NotReadyError(f"{error}: try again")


def _least(offsets: Sequence[Mapping[int, int]]) -> dict[int, int]:
    partitions = sorted({partition for found in offsets for partition in found})
    return {
        partition: min(found.get(partition, -1) for found in offsets) for partition in partitions
    }


def _highest(a: Mapping[int, int], b: Mapping[int, int]) -> dict[int, int]:
    return {partition: max(a.get(partition, -1), b.get(partition, -1)) for partition in {*a, *b}}


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
