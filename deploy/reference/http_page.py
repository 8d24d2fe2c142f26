"""docs/reference/http.md: the routes of the three HTTP services, bodies, answers and statuses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, cast

from flask import Flask

from deploy.reference.declared import all_fields_of, first_paragraph
from deploy.reference.markdown import code, page, sentence, table
from ingest_svc.http_api import flask_api
from ingest_svc.http_api.sending import Receipt, Rejected
from monitor_svc.adapters import flask_page
from predict_svc.api import routes
from predict_svc.api.messages import (
    Answer,
    PredictBody,
    RequestError,
    ScoreError,
    Timing,
    ViewAnswer,
    ViewBody,
    ViewKeys,
    ViewRow,
    ViewRows,
    ViewsBody,
)
from predict_svc.api.problems import Problem

HEALTH = {
    "GET /livez": "200 while the process's event loop answers: for what starts it again",
    "GET /readyz": "200 when it can do its work, else 503 with the reason: for a load balancer",
}
ROUTES: dict[str, dict[str, str]] = {
    "ingest": {
        "POST /v1/records/<source>": "Live records: a JSON object, a list of them, or JSON "
        "lines. Answered with a `Receipt` when Kafka has them",
        "POST /v1/data-arrived": "A [`DataArrived`](events.md#dataarrived) event: files are on S3. "
        "Answered when Kafka has it; the files are checked afterwards",
        **HEALTH,
    },
    "predict": {
        "POST /v1/predict/<model>": "A `PredictBody`, or the same with `columns` "
        "in place of `rows`, or an Arrow IPC stream, each packed with gzip or zstd or not; "
        "answered with an `Answer`",
        "GET /v1/views/<view>": "Features of one key, as a `ViewAnswer`. Query: `key` (once "
        "for each key field), `feature` (once for each; default all), `at`, `min_position` "
        "(JSON), `max_staleness_ms`. `Accept: application/vnd.apache.arrow.stream`: as Arrow",
        "POST /v1/views/<view>": "Features of many keys: a `ViewBody`, answered with `ViewRows` "
        "or, if it is accepted, an Arrow stream",
        "POST /v1/views": "Several views at one moment: a `ViewsBody`, answered with "
        '`{"views": {name: ViewRows}}`, or with an Arrow stream for each view in their order',
        "GET /v1/views/<view>/states/<int:partition>": "All states of a partition as bytes, "
        "for audits",
        "GET /v1/releases": "What answers for each model, or why nothing does",
        **HEALTH,
    },
    "monitor": {
        "GET /": "The dashboard",
        "GET /page/<path:name>": "Its files",
        "GET /v1/state": "All that the dashboard shows, as JSON, with half an hour of history",
        "GET /v1/stream": "A new state each second, as server-sent events",
        **HEALTH,
    },
}
DOOR = {
    400: "the body broke off, or its Content-Length is not a number",
    403: "asked under another name than `TWINSTREAM_HTTP_HOSTS` allows, or by a page of another "
    "site",
    408: "the body did not come in time",
    413: "the body is too large",
    415: "a browser's form; send `Content-Type: application/json`",
    500: "a fault of ours: the log of the service says why",
    503: "more requests than can be answered; `Retry-After` says when to ask again",
}
INGEST = {
    200: "all records were taken",
    202: "the event was taken",
    207: "some records were taken; `rejected` says which were not",
    400: "no record was taken, or the body is none of the forms",
    404: "the definition has no such source",
    413: "more than 100,000 records, or a record that no message can hold",
    500: DOOR[500],
    503: "Kafka does not take it; send it again, the id keeps records single",
}
ADDRESSES = {
    "ingest": "`TWINSTREAM_INGEST_PORT`",
    "predict": "`TWINSTREAM_PREDICT_PORT`",
    "monitor": "`TWINSTREAM_MONITOR_PORT`",
}
PREDICT_BODIES = (
    PredictBody,
    Answer,
    ViewAnswer,
    ViewBody,
    ViewsBody,
    ViewKeys,
    ViewRows,
    ViewRow,
    Timing,
    Problem,
)
FIELD_HEAD = ("field", "type", "default", "what")
STATUS_HEAD = ("status", "when")
INTRODUCTION = """
Three services answer HTTP, each on a port of its own; `twinstream status` prints the addresses.
Bodies and answers are JSON, and an error is `{"error": text}`, of the predictor's own routes a
`Problem` (RFC 9457). None of them authenticates: put
them behind what does ([operations](../operations.md#security)).
"""


class Route(NamedTuple):
    """One method and path, as Flask writes it."""

    service: str
    name: str


def apps() -> dict[str, Flask]:
    """The applications themselves; what they would answer from is not asked."""
    nothing = cast(Any, None)
    return {
        "ingest": flask_api.make_app(nothing),
        "predict": routes.application(nothing),
        "monitor": flask_page.make_app(nothing),
    }


def served() -> Iterator[Route]:
    """Every route of the applications; HEAD, OPTIONS and `/static` are Flask's own."""
    for service, app in apps().items():
        rules = [rule for rule in app.url_map.iter_rules() if rule.endpoint != "static"]
        for rule in rules:
            for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
                yield Route(service, f"{method} {rule.rule}")


def statuses() -> dict[int, str]:
    """Of the predictor, from its errors."""
    kinds: list[type[RequestError]] = [RequestError, *RequestError.__subclasses__()]
    found = {kind.status: first_paragraph(kind) for kind in kinds}
    return found | {
        RequestError.status: "the request is wrong; the text names row and field",
        ScoreError.status: f"{first_paragraph(ScoreError).rstrip('.')}; or {DOOR[500]}",
    }


def written() -> str:
    """The page."""
    return page(
        "HTTP",
        INTRODUCTION,
        "## Before any of them",
        "What stands before every service refuses (`twinstream/mesh/door.py`):",
        table(STATUS_HEAD, _statuses(DOOR)),
        *_service("ingest", INGEST, (Receipt, Rejected)),
        *_service("predict", statuses(), PREDICT_BODIES),
        "`ViewPosition` is in [events](events.md#viewposition).",
        *_service("monitor", {503: "32 listen to `/v1/stream` already"}, ()),
    )


def _service(name: str, found: dict[int, str], bodies: tuple[type, ...]) -> Iterator[str]:
    yield f"## {name.capitalize()}"
    yield f"On {ADDRESSES[name]}."
    yield table(("route", "what"), [(code(r), sentence(what)) for r, what in ROUTES[name].items()])
    yield table(STATUS_HEAD, _statuses(found))
    for kind in bodies:
        yield f"### {kind.__name__}"
        yield sentence(first_paragraph(kind))
        rows = [
            (code(f.name), code(f.type), code(f.default), sentence(f.what))
            for f in all_fields_of(kind)
        ]
        yield table(FIELD_HEAD, rows)


def _statuses(found: dict[int, str]) -> list[tuple[str, str]]:
    return [(str(status), sentence(when)) for status, when in sorted(found.items())]
