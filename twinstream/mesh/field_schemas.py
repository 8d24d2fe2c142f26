"""JSON Schema of a record's fields, and examples of values, for OpenAPI documents."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, Final

import msgspec

from twinstream.define import Source
from twinstream.define.fields.base import FieldType
from twinstream.define.values import stored
from twinstream.errors import RecordError

Schema = dict[str, Any]
_CANDIDATES: Final = ("text", "2026-01-01", "2026-01-01T12:00:00Z", True, 1.5, 1)


def record_schema(source: Source, required: Collection[str]) -> Schema:
    """An object with the source's fields; others are passed over."""
    return {
        "type": "object",
        "properties": {
            name: _field(kind, optional=name not in required)
            for name, kind in source.fields.items()
        },
        "required": [name for name in source.names if name in required],
    }


def record_example(source: Source, names: Iterable[str]) -> dict[str, Any]:
    """Values that the types of these fields allow; rules may still refuse them."""
    return {name: _example(source.fields[name]) for name in names}


def must_have(source: Source) -> set[str]:
    """Fields that a record may not lack."""
    named = {*source.id_fields, source.key, source.event_time}
    return named | {name for name, kind in source.fields.items() if not kind.optional}


def _field(kind: FieldType, *, optional: bool) -> Schema:
    return msgspec.json.schema(kind.json | None if optional else kind.json)


def _example(kind: FieldType) -> Any:
    """The first value that the type takes."""
    for value in _CANDIDATES:
        try:
            stored(kind, value)
        except RecordError:
            continue
        return value
    return None
