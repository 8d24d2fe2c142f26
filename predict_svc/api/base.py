"""What every route shares: what it answers from, what is asked of it, and the form of an answer."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from flask import Response, request

from predict_svc.api.messages import (
    NotReadyError,
    RequestError,
    Timing,
    UnknownError,
    Wish,
    positions,
)
from predict_svc.api.predictor import Predictor
from predict_svc.api.serving import Active, Serving, Snapshot
from predict_svc.api.unjoinable import AnswerWarning
from schemas.events import PredictionServed
from twinstream.mesh import door
from twinstream.mesh.clock import Clock
from twinstream.mesh.problems import Place

JSON = "application/json"
_NUMBER = re.compile(r"[0-9]{1,12}(\.[0-9]{1,9})?")
_encode = msgspec.json.Encoder(decimal_format="number").encode


class Meter:
    """What requests are measured by; `twinstream.mesh.metrics.Metrics` is one."""

    def observe(self, name: str, value: float, unit: str = "", **labels: object) -> None: ...
    def observe_all(
        self, name: str, values: Sequence[float], unit: str = "", **labels: object
    ) -> None: ...
    def count(self, name: str, n: float = 1, **labels: object) -> None: ...


class Api(msgspec.Struct, frozen=True):
    """What the routes stand on."""

    pipeline: Any
    serving: Serving
    predictor: Predictor
    readers: Mapping[str, Any]
    publish: Callable[[PredictionServed], None]
    refresh: Callable[[], None]
    ready: Callable[[], tuple[bool, dict[str, object]]]
    meter: Meter
    clock: Clock
    room: Callable[[], bool] = lambda: True
    """Whether more prediction events may wait for Kafka."""
    body_bytes: int = 32_000_000
    """A packed body may be so large when it is unpacked."""


def active_of(api: Api, model: str) -> Active:
    """What serves a model now; raises UnknownError, NotReadyError."""
    return active_in(api, api.serving.now, model)


def active_in(api: Api, now: Snapshot, model: str) -> Active:
    """What serves a model in a snapshot; raises UnknownError, NotReadyError."""
    if model in now.active:
        return now.active[model]
    if model not in {m.name for m in api.pipeline.models}:
        raise UnknownError(
            f"there is no model {model!r}; there are: {', '.join(m.name for m in api.pipeline.models)}"
        )
    raise NotReadyError(
        f"model {model} cannot answer: {now.reasons.get(model, 'this process has just started')}"
    )


def check_room(api: Api) -> None:
    """Raises NotReadyError while too many prediction events wait."""
    if not api.room():
        raise NotReadyError(
            "Kafka does not take prediction events, and too many wait for it",
            Place(remedy="try again when it is back"),
        )


def measured(api: Api, model: str, started_s: float, timing: Timing, rows: int) -> None:
    """Counts an answered request. `started_s`: of `time.perf_counter`."""
    took_ms = (time.perf_counter() - started_s) * 1000
    api.meter.observe("predict_answer_ms", took_ms - timing.waited_ms, "ms", model=model)
    api.meter.observe("predict_waited_ms", timing.waited_ms, "ms", model=model)
    api.meter.count("predict_rows_total", rows, model=model)


def count_unjoinable(api: Api, model: str, warnings: Iterable[AnswerWarning]) -> None:
    """Counts rows of an answer by the field that they lack."""
    for warning in warnings:
        api.meter.count(
            "predict_unjoinable_rows_total",
            warning.rows,
            model=model,
            field=warning.field,
        )


def reader_of(api: Api, view: str) -> Any:
    """The reader of a view; raises UnknownError."""
    if view not in api.readers:
        raise UnknownError(f"there is no view {view!r}; there are: {', '.join(api.readers)}")
    return api.readers[view]


def epoch_of(api: Api, view: str) -> int | None:
    """The epoch at which a view is read alone: the newest that landed in all its partitions."""
    return api.serving.now.epochs.get(view)


def told(body: object, status: int = 200) -> door.Answer:
    """JSON of any struct or mapping, as the door sends it."""
    data = _encode(body)
    return door.Answer(status, [("content-type", JSON), ("content-length", str(len(data)))], data)


def answer(body: object, status: int = 200) -> Response:
    """JSON of any struct or mapping."""
    return Response(_encode(body), status, mimetype=JSON)


def wish() -> Wish:
    stale = request.args.get("max_staleness_ms")
    if stale and not _NUMBER.fullmatch(stale):
        raise RequestError(
            f"max_staleness_ms is {stale[:40]!r}",
            Place(field="max_staleness_ms", remedy="give a number of milliseconds, 0 or more"),
        )
    return Wish(
        min_position=positions(request.args.get("min_position") or "{}"),
        max_staleness_ms=float(stale) if stale else None,
    )
