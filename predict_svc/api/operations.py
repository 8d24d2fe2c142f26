"""The routes of the predictor as data: what OpenAPI and the reference say of them."""

from __future__ import annotations

import inspect

from predict_svc.api.inference.operations import INFERENCE
from predict_svc.api.messages import (
    Answer,
    EachAnswer,
    PredictBody,
    RequestError,
    ViewAnswer,
    ViewBody,
    ViewRows,
    ViewsBody,
)
from twinstream.define import Model
from twinstream.define.pipeline import Pipeline
from twinstream.features.request import QuestionForm
from twinstream.mesh.door_statuses import DOOR
from twinstream.mesh.field_schemas import record_example, record_schema
from twinstream.mesh.openapi import (
    ARROW,
    JSON,
    OCTETS,
    Content,
    Description,
    HttpOperation,
    Query,
    Schema,
    health,
)
from twinstream.mesh.openapi_routes import OPERATIONS as OF_DESCRIPTION

OBJECT: Schema = {"type": "object"}
TEXTS: Schema = {"type": "array", "items": {"type": "string"}}
QUESTION: Schema = {"$ref": "#/components/schemas/Question"}
VIEWS: Schema = {
    "type": "object",
    "properties": {
        "views": {
            "type": "object",
            "additionalProperties": {"$ref": "#/components/schemas/ViewRows"},
        }
    },
}
FRESH = (
    Query(
        name="at",
        what="the moment of the answer, RFC 3339 or UTC microseconds; not given: now",
        schema={"type": "string"},
    ),
    Query(
        name="min_position",
        what='JSON like {"orders": {"0": 12}}: raw offsets that must be contained',
        schema={"type": "string"},
    ),
    Query(
        name="max_staleness_ms",
        what="what was in the raw topics so many milliseconds ago must be contained",
        schema={"type": "number", "minimum": 0},
    ),
)


def refused(*statuses: int) -> dict[int, str]:
    """When the errors of these statuses are answered."""
    kinds: list[type[RequestError]] = [RequestError, *RequestError.__subclasses__()]
    said = {kind.status: (inspect.getdoc(kind) or "").split("\n\n")[0] for kind in kinds}
    said[RequestError.status] = "the request is wrong; `row` and `field` say where"
    return {status: " ".join(said[status].split()) for status in statuses}


OPERATIONS = (
    HttpOperation(
        method="POST",
        path="/v1/predict/<model>",
        what="a `PredictBody`, or the same with `columns` in place of `rows`, or an Arrow IPC "
        "stream, each packed with gzip or zstd or not; answered with an `Answer`, or with "
        "`on_error` at `row` by an `EachAnswer`",
        body=Content(media={JSON: QUESTION, ARROW: {}}),
        answers={
            200: Content(
                media={
                    JSON: {
                        "anyOf": [
                            {"$ref": "#/components/schemas/Answer"},
                            {"$ref": "#/components/schemas/EachAnswer"},
                        ]
                    }
                }
            ),
            207: Content(media={JSON: EachAnswer}),
        },
        refused=refused(400, 404, 409, 413, 422, 500, 503, 504),
    ),
    HttpOperation(
        method="GET",
        path="/v1/views/<view>",
        what="features of one key, as a `ViewAnswer`. Query: `key` (once for each key field), "
        "`feature` (once for each; default all), `at`, `min_position` (JSON), `max_staleness_ms`. "
        "`Accept: application/vnd.apache.arrow.stream`: as Arrow",
        query=(
            Query(
                name="key",
                what="once for each key field",
                schema={**TEXTS, "minItems": 1},
                required=True,
            ),
            Query(name="feature", what="once for each; not given: all", schema=TEXTS),
            *FRESH,
        ),
        answers={200: Content(media={JSON: ViewAnswer, ARROW: {}})},
        refused=refused(400, 404, 409, 503, 504),
    ),
    HttpOperation(
        method="POST",
        path="/v1/views/<view>",
        what="features of many keys: a `ViewBody`, answered with `ViewRows` or, if it is "
        "accepted, an Arrow stream",
        body=Content(media={JSON: ViewBody}, example={"keys": ["text"]}),
        answers={200: Content(media={JSON: ViewRows, ARROW: {}})},
        refused=refused(400, 404, 409, 422, 503, 504),
    ),
    HttpOperation(
        method="POST",
        path="/v1/views",
        what='several views at one moment: a `ViewsBody`, answered with `{"views": {name: '
        "ViewRows}}`, or with an Arrow stream for each view in their order",
        body=Content(media={JSON: ViewsBody}),
        answers={200: Content(media={JSON: VIEWS, ARROW: {}})},
        refused=refused(400, 404, 409, 422, 503, 504),
    ),
    HttpOperation(
        method="GET",
        path="/v1/views/<view>/states/<int:partition>",
        what="all states of a partition as bytes, for audits",
        answers={200: Content(media={OCTETS: {}})},
        refused=refused(404, 503),
    ),
    HttpOperation(
        method="GET",
        path="/v1/releases",
        what="what answers for each model, or why nothing does",
        answers={200: Content(media={JSON: OBJECT})},
    ),
    *INFERENCE,
    *health(),
    *OF_DESCRIPTION,
)


def describe_predict(pipeline: Pipeline) -> Description:
    """The service, with the models and views of its definition."""
    models, views = pipeline.models, [view.name for view in pipeline.views]
    rows = {f"Row.{model.name}": _row_schema(model) for model in models}
    return Description(
        title="Twinstream predict",
        operations=OPERATIONS,
        parts={"model": [model.name for model in models], "view": views},
        door=DOOR,
        structs=(PredictBody, Answer, EachAnswer, ViewRows),
        schemas={**rows, "Question": _question(list(rows))},
        examples=_examples(models[0], views),
    )


def _row_schema(model: Model) -> Schema:
    """A row of a question; it may have all fields of the spine."""
    needed = QuestionForm(model).needed
    must = {n for n in needed if n != model.at and not model.spine.fields[n].optional}
    return record_schema(model.spine, must)


def _question(rows: list[str]) -> Schema:
    items = {"anyOf": [{"$ref": f"#/components/schemas/{name}"} for name in rows]}
    given = {"type": "array", "minItems": 1, "items": items}
    body = {"$ref": "#/components/schemas/PredictBody"}
    return {"allOf": [body, {"properties": {"rows": given}}]}


def _examples(model: Model, views: list[str]) -> dict[str, object]:
    """Bodies that the definition allows; rules of cleaning may still refuse them."""
    row = record_example(model.spine, QuestionForm(model).needed)
    return {
        "post_v1_predict_model": {"rows": [row]},
        "post_v1_views": {"views": {name: {"keys": []} for name in views}},
    }
