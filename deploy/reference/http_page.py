"""docs/reference/http.md: the routes of the three HTTP services, bodies, answers and statuses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, cast

from flask import Flask

from deploy.reference.declared import all_fields_of, first_paragraph
from deploy.reference.markdown import code, page, sentence, table
from ingest_svc.http_api import flask_api
from ingest_svc.http_api import operations as ingest_operations
from ingest_svc.http_api.sending import Receipt, Rejected
from monitor_svc.adapters import flask_page
from monitor_svc.adapters import operations as monitor_operations
from predict_svc.api import operations as predict_operations
from predict_svc.api import routes
from predict_svc.api.inference.tensor_messages import (
    InferAnswer,
    InferRequest,
    InputTensor,
    ModelMetadata,
    ModelReady,
    OutputTensor,
    ServerMetadata,
    TensorMetadata,
    WantedTensor,
)
from predict_svc.api.messages import (
    Answer,
    EachAnswer,
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
from twinstream.mesh.door_statuses import DOOR
from twinstream.mesh.openapi import HttpOperation
from twinstream.mesh.problems import Problem

OPERATIONS: dict[str, Sequence[HttpOperation]] = {
    "ingest": ingest_operations.OPERATIONS,
    "predict": predict_operations.OPERATIONS,
    "monitor": monitor_operations.OPERATIONS,
}
ROUTES: dict[str, dict[str, str]] = {
    service: {operation.route: operation.what for operation in found}
    for service, found in OPERATIONS.items()
}
INGEST = {
    200: "all records were taken",
    202: "the event was taken",
    207: "some records were taken; `rejected` says which were not",
    400: "no record was taken, or the body is none of the forms",
    404: "the definition has no such source",
    413: "more than 100,000 records, or a record that no message can hold",
    422: "a list of records or an event is nested too deep to be read",
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
    EachAnswer,
    ViewAnswer,
    ViewBody,
    ViewsBody,
    ViewKeys,
    ViewRows,
    ViewRow,
    Timing,
    ServerMetadata,
    ModelMetadata,
    TensorMetadata,
    ModelReady,
    InferRequest,
    InputTensor,
    WantedTensor,
    InferAnswer,
    OutputTensor,
    Problem,
)
FIELD_HEAD = ("field", "type", "default", "what")
STATUS_HEAD = ("status", "when")
INTRODUCTION = """
Three services answer HTTP, each on a port of its own; `twinstream status` prints the addresses.
Each describes itself at `/openapi.json` (OpenAPI 3.1), and at `/docs` on a page to try it.
Bodies and answers are JSON, and an error is a [`Problem`](#problem) (RFC 9457,
`application/problem+json`). None of them authenticates: put
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
        207: "asked with `on_error` at `row`: some rows, or all, have a problem in their place",
        RequestError.status: "the request is wrong; `row` and `field` say where",
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


def _service(
    name: str,
    found: dict[int, str],
    bodies: tuple[type, ...],
) -> Iterator[str]:
    yield f"## {name.capitalize()}"
    yield f"On {ADDRESSES[name]}."
    yield table(("route", "what"), [(code(r), sentence(what)) for r, what in ROUTES[name].items()])
    yield table(STATUS_HEAD, _statuses(found))
    for kind in bodies:
        yield from _body(kind)


def _body(kind: type) -> Iterator[str]:
    yield f"### {kind.__name__}"
    yield sentence(first_paragraph(kind))
    fields = all_fields_of(kind)
    rows = [(code(f.name), code(f.type), code(f.default), sentence(f.what)) for f in fields]
    yield table(FIELD_HEAD, rows)


def _statuses(found: dict[int, str]) -> list[tuple[str, str]]:
    return [(str(status), sentence(when)) for status, when in sorted(found.items())]
