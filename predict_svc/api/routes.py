"""Paths of the predictor as a Flask application; every error is a problem of RFC 9457."""

from __future__ import annotations

import struct

import msgspec
import structlog
from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from predict_svc.api import view_routes
from predict_svc.api.answering import answered_in, body_in
from predict_svc.api.base import Api, answer, epoch_of, reader_of
from predict_svc.api.inference.tensor_routes import register_inference
from predict_svc.api.messages import (
    ConflictError,
    NotReadyError,
    RequestError,
    UnknownError,
)
from predict_svc.api.operations import describe_predict
from predict_svc.api.serving import Snapshot
from predict_svc.view.errors import ViewNotReadyError, WindowNotKept
from twinstream.mesh import door
from twinstream.mesh.flask_problems import refused_by_flask
from twinstream.mesh.openapi_routes import register_description
from twinstream.mesh.problems import Place, problem_of

_encode = msgspec.json.Encoder().encode
log = structlog.get_logger()


def application(api: Api) -> Flask:
    """The WSGI application."""
    app = Flask("predict")
    app.post("/v1/predict/<model>", endpoint="predict")(lambda model: predict(api, model))
    view_routes.register(app, api)
    app.get("/v1/views/<view>/states/<int:partition>", endpoint="states")(
        lambda view, partition: states(api, view, partition)
    )
    app.get("/v1/releases", endpoint="releases")(lambda: releases(api))
    register_inference(app, api)
    register_description(app, lambda: describe_predict(api.pipeline))
    app.get("/livez", endpoint="livez")(lambda: answer({"live": True}))
    app.get("/readyz", endpoint="readyz")(lambda: readiness(api))
    app.register_error_handler(Exception, lambda error: failed(api, error))
    return app


def predict(api: Api, model: str) -> Response:
    """Answers the rows, publishes an event for each 256 of them."""
    body = body_in(api, request.get_data(cache=False))
    return answer(*answered_in(api, model, body))


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
    """What answers for each model, or why nothing does; a reason beside a release says why a newer
    model does not answer.
    """
    now = api.serving.now
    models = {model.name: _released(api, now, model.name) for model in api.pipeline.models}
    return answer({"models": models, "views": now.epochs})


def _released(api: Api, now: Snapshot, model: str) -> dict[str, object]:
    active = now.active.get(model)
    return {
        "release": str(active.release) if active else None,
        "definition": api.pipeline.digest,
        "epoch": active.release.epoch if active else None,
        "model": active.release.model if active else None,
        "reason": now.reasons.get(model, ""),
        **_beside(now, model),
    }


def _beside(now: Snapshot, model: str) -> dict[str, object]:
    """The candidates beside what serves."""
    shadow = now.shadows.get(model)
    canary = now.canaries.get(model)
    return {
        "shadow": shadow.digest if shadow else None,
        "shadow_reason": now.shadow_reasons.get(model, ""),
        "canary": canary.active.release.model if canary else None,
        "canary_share": canary.share if canary else None,
        "canary_reason": now.canary_reasons.get(model, ""),
    }


def readiness(api: Api) -> Response:
    """200 when views can be read, else 503; says what is missing."""
    ready, detail = api.ready()
    return answer({"ready": ready, **detail}, 200 if ready else 503)


def failed(api: Api, error: Exception) -> Response:
    """What Flask answers to an error."""
    if isinstance(error, HTTPException):
        return refused_by_flask(error)
    found = failure(api, error, request.path)
    return Response(found.body, found.status, headers=found.headers)


def failure(api: Api, error: Exception, path: str) -> door.Answer:
    """The one catch-all: a client's mistake in words, ours in the log and as 500."""
    if isinstance(error, ViewNotReadyError):
        error = NotReadyError(str(error), Place(remedy="try again"))
    elif isinstance(error, WindowNotKept):
        error = ConflictError(str(error))
    if isinstance(error, RequestError):
        api.meter.count("predict_refused_total", 1, status=error.status)
        return door.of_problem(problem_of(error.text, error.status, error.place))
    api.meter.count("predict_refused_total", 1, status=500)
    log.error("request_failed", path=path, exc_info=error)
    text = "the request failed inside; the log of the predict service says why"
    return door.of_problem(problem_of(text, 500))
