"""Paths of the predictor as a Flask application; every error is a problem of RFC 9457."""

from __future__ import annotations

import struct
import time
from collections.abc import Sequence

import msgspec
import structlog
from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from predict_svc.api import view_routes
from predict_svc.api.base import Api, active_of, answer, epoch_of, reader_of
from predict_svc.api.forms import body_of
from predict_svc.api.messages import (
    Answer,
    ConflictError,
    NotReadyError,
    PredictBody,
    RequestError,
    TooLargeError,
    UnknownError,
)
from predict_svc.api.problems import PROBLEM, problem_answer
from predict_svc.view.errors import ViewNotReadyError, WindowNotKept
from schemas.events import PredictionServed
from twinstream.errors import MessageRefusedError
from twinstream.mesh import door

_encode = msgspec.json.Encoder().encode
log = structlog.get_logger()
NO_ROOM = (
    "Kafka does not take prediction events, and too many wait for it: try again when it is back"
)


def application(api: Api) -> Flask:
    """The WSGI application."""
    app = Flask("predict")
    app.post("/v1/predict/<model>", endpoint="predict")(lambda model: predict(api, model))
    view_routes.register(app, api)
    app.get("/v1/views/<view>/states/<int:partition>", endpoint="states")(
        lambda view, partition: states(api, view, partition)
    )
    app.get("/v1/releases", endpoint="releases")(lambda: releases(api))
    app.get("/livez", endpoint="livez")(lambda: answer({"live": True}))
    app.get("/readyz", endpoint="readyz")(lambda: readiness(api))
    app.register_error_handler(Exception, lambda error: failed(api, error))
    return app


def predict(api: Api, model: str) -> Response:
    """Answers the rows, publishes an event for each 256 of them."""
    return answer(predicted(api, model, body_in(api, request.get_data(cache=False))))


def body_in(api: Api, data: bytes) -> PredictBody:
    """A body in any of its forms."""
    return body_of(data, api.body_bytes, api.predictor.max_rows)


def predicted(api: Api, model: str, body: PredictBody) -> Answer:
    """The answer to a body, counted, its events on their way to Kafka."""
    started = time.perf_counter()
    if not api.room():
        raise NotReadyError(NO_ROOM)
    try:
        found, events = api.predictor.predict(active_of(api, model), body)
    except ViewNotReadyError:
        api.refresh()  # the base of this release was let go between the two: take the release that is there now
        found, events = api.predictor.predict(active_of(api, model), body)
    _publish(api, events)
    api.meter.observe(
        "predict_answer_ms",
        (time.perf_counter() - started) * 1000 - found.timing.waited_ms,
        "ms",
        model=model,
    )
    api.meter.observe("predict_waited_ms", found.timing.waited_ms, "ms", model=model)
    api.meter.count("predict_rows_total", len(found.predictions), model=model)
    return found


def predicted_together(api: Api, model: str, bodies: Sequence[PredictBody]) -> list[Answer]:
    """The answers to small requests that ask for no position, counted, their event on its way to
    Kafka; raises DoubtError and all that `predicted` does when they have to be answered alone.
    """
    started = time.perf_counter()
    if not api.room():
        raise NotReadyError(NO_ROOM)
    answers, events = api.predictor.predict_together(active_of(api, model), bodies)
    _publish(api, events)
    ms = (time.perf_counter() - started) * 1000
    requests = len(answers)
    rows = sum(len(body.rows) for body in bodies)
    api.meter.observe_all("predict_answer_ms", [ms] * requests, "ms", model=model)
    api.meter.observe_all("predict_waited_ms", [0.0] * requests, "ms", model=model)
    api.meter.count("predict_rows_total", rows, model=model)
    return answers


def _publish(api: Api, events: Sequence[PredictionServed]) -> None:
    """No answer without its events: a question of which nothing could be remembered is refused."""
    try:
        for event in events:
            api.publish(event)
    except MessageRefusedError as error:
        raise TooLargeError(f"the question is too large to be remembered: {error}") from error


def states(api: Api, view: str, partition: int) -> Response:
    """All states of one partition, for audits: int64 length of the head, the head as JSON, the states as a partial carries them."""
    reader = reader_of(api, view)
    if partition >= reader.partitions:
        raise UnknownError(f"view {view} has partitions 0 to {reader.partitions - 1}")
    snapshot = reader.snapshot(partition, epoch_of(api, view))
    head = {
        "epoch": snapshot.position.epoch,
        "log": snapshot.position.log,
        "raw": snapshot.position.raw,
        "complete_since": snapshot.complete_since,
    }
    data = _encode(head)
    return Response(
        struct.pack("<q", len(data)) + data + snapshot.states.to_bytes(),
        mimetype="application/octet-stream",
    )


def releases(api: Api) -> Response:
    """What answers for each model, or why nothing does; a reason beside a release says why a newer model does not answer."""
    now = api.serving.now
    models = {
        model.name: {
            "release": str(now.active[model.name].release) if model.name in now.active else None,
            "definition": api.pipeline.digest,
            "epoch": now.active[model.name].release.epoch if model.name in now.active else None,
            "model": now.active[model.name].release.model if model.name in now.active else None,
            "reason": now.reasons.get(model.name, ""),
        }
        for model in api.pipeline.models
    }
    return answer({"models": models, "views": now.epochs})


def readiness(api: Api) -> Response:
    """200 when views can be read, else 503; says what is missing."""
    ready, detail = api.ready()
    return answer({"ready": ready, **detail}, 200 if ready else 503)


def failed(api: Api, error: Exception) -> Response:
    """What Flask answers to an error."""
    found = failure(api, error, request.path)
    return Response(found.body, found.status, headers=found.headers, mimetype=PROBLEM)


def failure(api: Api, error: Exception, path: str) -> door.Answer:
    """The one catch-all: a client's mistake in words, ours in the log and as 500."""
    if isinstance(error, ViewNotReadyError):
        error = NotReadyError(f"{error}: try again")
    elif isinstance(error, WindowNotKept):
        error = ConflictError(str(error))
    if isinstance(error, HTTPException):
        return problem_answer(error.description or error.name, error.code or 500)
    if isinstance(error, RequestError):
        api.meter.count("predict_refused_total", 1, status=error.status)
        found = problem_answer(str(error), error.status)
        if error.status == NotReadyError.status:
            found.headers.append(("Retry-After", "1"))
        return found
    api.meter.count("predict_refused_total", 1, status=500)
    log.error("request_failed", path=path, exc_info=error)
    return problem_answer("the request failed inside; the log of the predict service says why", 500)
