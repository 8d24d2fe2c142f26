"""The routes of ingest over HTTP as data: what OpenAPI and the reference say of them."""

from __future__ import annotations

from collections.abc import Mapping

from ingest_svc.http_api.sending import Gate, Receipt
from schemas.events import DataArrived
from twinstream.mesh.door_statuses import DOOR
from twinstream.mesh.field_schemas import must_have, record_example, record_schema
from twinstream.mesh.openapi import JSON, Content, Description, HttpOperation, Schema, health
from twinstream.mesh.openapi_routes import OPERATIONS as OF_DESCRIPTION

LATER = "Kafka does not take it; send it again, the id keeps records single"
RECORDS = {
    404: "the definition has no such source",
    413: "more than 100,000 records, or a record that no message can hold",
    422: "a list of records or an event is nested too deep to be read",
    503: LATER,
}
RECEIPT = Content(media={JSON: Receipt})
OPERATIONS = (
    HttpOperation(
        method="POST",
        path="/v1/records/<source>",
        what="live records: a JSON object, a list of them, or JSON lines. Answered with a "
        "`Receipt` when Kafka has them",
        body=Content(media={JSON: {"$ref": "#/components/schemas/Records"}}),
        answers={200: RECEIPT, 207: RECEIPT, 400: RECEIPT},
        refused=RECORDS,
    ),
    HttpOperation(
        method="POST",
        path="/v1/data-arrived",
        what="a `DataArrived` event: files are on S3. Answered when Kafka has it; the files are "
        "checked afterwards",
        body=Content(
            media={JSON: DataArrived},
            example={"source": "", "files": [{"uri": "s3://bucket/key", "sha256": ""}]},
        ),
        answers={202: Content(media={JSON: {"type": "object", "required": ["accepted"]}})},
        refused=RECORDS,
    ),
    *health(),
    *OF_DESCRIPTION,
)


def describe_ingest(gates: Mapping[str, Gate]) -> Description:
    """The service, with the sources of its definition."""
    sources = [gate.source for gate in gates.values()]
    return Description(
        title="Twinstream ingest",
        operations=OPERATIONS,
        parts={"source": [source.name for source in sources]},
        door=DOOR,
        schemas={
            **{f"Record.{s.name}": record_schema(s, must_have(s)) for s in sources},
            "Records": _records(gates),
        },
        examples={"post_v1_records_source": record_example(sources[0], sources[0].names)},
    )


def _records(gates: Mapping[str, Gate]) -> Schema:
    record: Schema = {"anyOf": [{"$ref": f"#/components/schemas/Record.{name}"} for name in gates]}
    return {"anyOf": [record, {"type": "array", "items": record}]}
