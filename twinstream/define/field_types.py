"""All types of fields, found by what their modules export."""

from __future__ import annotations

from twinstream.define import fields
from twinstream.define.fields.base import FieldType
from twinstream.define.kinds import BOOL, NUMBER, ValueKind

TYPES: tuple[type[FieldType], ...] = tuple(getattr(fields, name) for name in fields.__all__)
"""In the order of their names."""


def _value_kinds() -> dict[str, ValueKind]:
    declared = [NUMBER, BOOL, *(found.expression for found in TYPES)]
    spans = [kind.difference for kind in declared if kind.difference is not None]
    return {kind.name: kind for kind in (*declared, *spans)}


VALUE_KINDS = _value_kinds()
"""What an expression can be, by name."""
