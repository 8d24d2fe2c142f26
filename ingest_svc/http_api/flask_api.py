"""The routes of ingest over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import structlog
from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from ingest_svc.http_api.bodies import BodyError, DeepError, TooManyError, records_in
from ingest_svc.http_api.operations import describe_ingest
from ingest_svc.http_api.sending import Gate, Raw, Receipt, send_records
from ingest_svc.ports import Events, Meter
from schemas.events import DataArrived
from twinstream.errors import UNDECODABLE, MessageRefusedError, PublishError
from twinstream.mesh.clock import Clock
from twinstream.mesh.flask_problems import problem_response, refused_by_flask
from twinstream.mesh.openapi_routes import register_description

_log = structlog.get_logger()
STATUS_OF_BODY: Mapping[type[BodyError], int] = {TooManyError: 413, DeepError: 422}
_arrival = msgspec.json.Decoder(DataArrived)


class Api(msgspec.Struct, frozen=True):
    """What the routes need."""

    gates: Mapping[str, Gate]
    raw: Raw
    events: Events
    meter: Meter
    clock: Clock
    away: Callable[[], str] = lambda: ""
    """Why Kafka cannot be reached, "" when it can."""


def make_app(api: Api) -> Flask:
    """The WSGI application."""
    app = Flask("ingest")
    app.add_url_rule(
        "/v1/records/<source>", "records", lambda source: _records(api, source), methods=["POST"]
    )
    app.add_url_rule(
        "/v1/data-arrived", "data_arrived", lambda: _data_arrived(api), methods=["POST"]
    )
    app.add_url_rule("/livez", "livez", lambda: _answer({"live": True}))
    app.add_url_rule("/readyz", "readyz", lambda: _ready(api))
    register_description(app, lambda: describe_ingest(api.gates))
    _handle_errors(app)
    return app


def _handle_errors(app: Flask) -> None:
    app.register_error_handler(HTTPException, refused_by_flask)
    app.register_error_handler(PublishError, lambda error: _later(str(error)))
    app.register_error_handler(MessageRefusedError, lambda error: _error(str(error), 413))
    app.register_error_handler(Exception, _failed)


def _records(api: Api, source: str) -> Response:
    """200 when all records were taken, 207 when some were, 400 when none was."""
    if source not in api.gates:
        return _unknown(api, source)
    if away := api.away():  # at once: who waits for Kafka holds a thread that others could use
        return _later(away)
    started = api.clock.now_us()
    try:
        values = records_in(request.get_data(cache=False))
    except BodyError as error:
        return _error(str(error), STATUS_OF_BODY.get(type(error), 400))
    receipt = send_records(api.gates, source, values, api.raw)
    _measure(api, source, receipt, started)
    return _answer(receipt, 200 if not receipt.rejected else 207 if receipt.accepted else 400)


def _measure(
    api: Api,
    source: str,
    receipt: Receipt,
    started_us: int,
) -> None:
    took_ms = (api.clock.now_us() - started_us) / 1000
    api.meter.count("ingest_http_records_total", receipt.accepted, source=source)
    api.meter.count("ingest_http_rejected_total", receipt.rejections, source=source)
    api.meter.observe("ingest_http_request_ms", took_ms, "ms", source=source)


def _data_arrived(api: Api) -> Response:
    """202: Kafka has the event; the files are checked after the answer."""
    try:
        event = _arrival.decode(request.get_data(cache=False))
    except UNDECODABLE as error:
        status = 422 if isinstance(error, RecursionError) else 400
        return _error(f"not a DataArrived event: {error}", status)
    if event.source not in api.gates:
        return _unknown(api, event.source)
    if not event.files:
        return _error("`files` is empty: name at least one", 400)
    if away := api.away():
        return _later(away)
    api.events.publish(_dated(event, api.clock), event.source)
    return _answer({"accepted": len(event.files)}, 202)


def _dated(event: DataArrived, clock: Clock) -> DataArrived:
    """With the time of now where it has none."""
    if event.arrived_at_us:
        return event
    return msgspec.structs.replace(event, arrived_at_us=clock.now_us())


def _unknown(api: Api, source: str) -> Response:
    names = ", ".join(sorted(api.gates))
    return _error(f"source {source!r} is not in the definition; it has {names}", 404)


def _ready(api: Api) -> Response:
    """Its `reason` is what the process's heartbeat says."""
    away = api.away()
    if away:
        return _answer({"error": away, "reason": away}, 503)
    return _answer({"status": "ready"})


def _failed(error: Exception) -> Response:
    """The one catch-all: logged with its cause, answered without it."""
    _log.error("request_failed", path=request.path, exc_info=error)
    return _error("the request failed; the log of ingest-http says why", 500)


def _error(text: str, status: int) -> Response:
    return problem_response(text, status)


def _later(text: str) -> Response:
    """503, with when to try again."""
    return problem_response(text, 503)


def _answer(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, mimetype="application/json")
