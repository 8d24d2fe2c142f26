"""docs/reference/events.md: every topic, and every event with its fields."""

from __future__ import annotations

import re

from deploy.reference.declared import Field, fields_of, first_paragraph
from deploy.reference.event_fields import FIELDS
from deploy.reference.markdown import code, page, sentence, table
from schemas import events
from schemas.topics import CONTROL_TOPICS, DAY_MS, Topic, data_topics, topic_of

TOPIC_HEAD = ("topic", "writer", "public", "partitions", "kept", "what")
FIELD_HEAD = ("field", "type", "default", "what")
PARTS = (
    events.FileRef,
    events.Cut,
    events.ViewPosition,
    events.Release,
    events.ServedRow,
    events.ShadowAnswer,
)
INTRODUCTION = """
An event is JSON in the value of a Kafka message, with CloudEvents 1.0 attributes in the headers
(binary mode): `ce_specversion`, `ce_id`, `ce_source`, `ce_type` (the event's name), `ce_time`,
`content-type`. Its JSON Schema is in `schemas/golden/<event>.v1.json`. Times are UTC
microseconds since 1970 (`*_us`). Fields are added with defaults only; anything else is a new
major version, on a new topic.

Raw records (`client.record-sent.*`) are JSON objects as you send them. The log and the partials
are bytes of our own (`schemas/packs.py`, `schemas/partials.py`): read them with the mesh, not
without it. A question (`client.prediction-asked.*`) is what `POST /v1/predict/<model>` takes, in
any of its forms.
"""
DEAD_LETTERS = """
Topics named `<service>.dead-letter.v1` carry the original bytes as the value; reason, place and
trace are in the headers (`twinstream/mesh/dead_letters.py`), and `twinstream dead-letters show`
prints them.
"""


def written() -> str:
    """The page."""
    topics = [*CONTROL_TOPICS, *data_topics(["<source>"], ["<view>"], ["<model>"])]
    kinds = sorted(events.EVENT_TYPES.items())
    return page(
        "Events and topics",
        INTRODUCTION,
        "## Topics",
        table(TOPIC_HEAD, map(_row, topics)),
        "Public: `in` is yours to write, `out` yours to read; all others are the mesh's own.",
        DEAD_LETTERS,
        "## Events",
        *(part for name, kind in kinds for part in _event(name, kind)),
        "## Parts of events",
        *(part for kind in PARTS for part in (f"### {kind.__name__}", *_fields(kind))),
    )


def kept(topic: Topic) -> str:
    """For how long, in days."""
    days = topic.retention_ms / DAY_MS
    return "for ever" if days < 0 else f"{days:g} {'day' if days == 1 else 'days'}"


def _row(topic: Topic) -> tuple[str, ...]:
    partitions = str(topic.partitions or code("TWINSTREAM_PARTITIONS"))
    what = sentence(re.sub(r"(<\w+>)", r"`\1`", topic.what))
    return code(topic.name), topic.writer, topic.public, partitions, kept(topic), what


def _event(name: str, kind: type[events.Event]) -> list[str]:
    return [f"### {name}", f"On `{topic_of(kind)}`.", *_fields(kind)]


def _fields(kind: type) -> list[str]:
    rows = [_field(kind, field) for field in fields_of(kind)]
    return [sentence(first_paragraph(kind)), table(FIELD_HEAD, rows)]


def meaning(kind: type, field: Field) -> str:
    """What the field's docstring says, else what its name means in all events; "" for none."""
    named = f"{kind.__name__}.{field.name}"
    return field.what or FIELDS.get(named, FIELDS.get(field.name, ""))


def _field(kind: type, field: Field) -> tuple[str, ...]:
    default = field.default.replace("'", '"')
    return code(field.name), code(field.type), code(default), sentence(meaning(kind, field))
