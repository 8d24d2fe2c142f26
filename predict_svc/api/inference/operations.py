"""The routes of the Open Inference Protocol as data."""

from __future__ import annotations

from predict_svc.api.inference.tensor_messages import (
    InferAnswer,
    InferRequest,
    ModelMetadata,
    ModelReady,
    ServerMetadata,
)
from twinstream.mesh.openapi import JSON, OCTETS, Content, HttpOperation, Query

FOUND = Content(media={JSON: {"type": "object"}})
NO_MODEL = {404: "there is no such model, or another release answers"}
REFUSED = {
    400: "the request is wrong; `row` and `field` say where",
    **NO_MODEL,
    409: "the question is well formed, but what is kept cannot answer it",
    422: "more rows or levels than one question may have",
    503: "not yet, or not at the moment",
    504: "the position asked for was not reached within the bound",
}
LENGTH = Query(
    name="Inference-Header-Content-Length",
    what="bytes of the JSON, when tensors lie behind it",
    schema={"type": "integer", "minimum": 1},
    place="header",
)


def _of_model(part: str, what: str, wrong: str) -> tuple[HttpOperation, ...]:
    """The routes of a model, or of one release of it."""
    path = f"/v2/models/<model>{part}"
    ready = Content(media={JSON: ModelReady})
    return (
        HttpOperation(
            method="GET",
            path=path,
            what=what or "inputs, outputs and the release that answers: `ModelMetadata`",
            answers={200: Content(media={JSON: ModelMetadata})},
            refused=NO_MODEL,
        ),
        HttpOperation(
            method="GET",
            path=f"{path}/ready",
            what=what or "200 when a release answers, else 503: `ModelReady`",
            answers={200: ready, 503: ready},
            refused=NO_MODEL,
        ),
        HttpOperation(
            method="POST",
            path=f"{path}/infer",
            what=wrong
            or "an `InferRequest`, with tensors behind it or not; answered with an `InferAnswer`",
            body=Content(media={JSON: InferRequest, OCTETS: {}}),
            query=(LENGTH,),
            answers={200: Content(media={JSON: InferAnswer, OCTETS: {}})},
            refused=REFUSED,
        ),
    )


INFERENCE = (
    HttpOperation(
        method="GET",
        path="/v2",
        what="what speaks the Open Inference Protocol here: `ServerMetadata`",
        answers={200: Content(media={JSON: ServerMetadata})},
    ),
    HttpOperation(method="GET", path="/v2/health/live", what="as `/livez`", answers={200: FOUND}),
    HttpOperation(
        method="GET",
        path="/v2/health/ready",
        what="as `/readyz`",
        answers={200: FOUND, 503: FOUND},
    ),
    *_of_model("", "", ""),
    *_of_model(
        "/versions/<release>",
        "the same of one release",
        "the same of one release: 404 when another answers",
    ),
)
