"""Whether a file of some Arrow schema can hold records of a source, before any row of it is
read.
"""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa

from twinstream.define.location import did_you_mean
from twinstream.define.source import Source
from twinstream.define.types import FieldType
from twinstream.errors import RecordError

_Is = Callable[[pa.DataType], bool]
_text: _Is = lambda t: (  # noqa: E731
    pa.types.is_string(t) or pa.types.is_large_string(t) or pa.types.is_string_view(t)
)
_number: _Is = lambda t: (  # noqa: E731
    pa.types.is_integer(t)
    or pa.types.is_floating(t)
    or pa.types.is_decimal32(t)
    or pa.types.is_decimal64(t)
    or pa.types.is_decimal128(t)
)
_FITS: dict[str, tuple[_Is, str]] = {
    "string": (_text, "string"),
    "bool": (pa.types.is_boolean, "bool"),
    "int": (_number, "an integer type"),
    "decimal": (lambda t: _number(t) or _text(t), "decimal, a float or an integer type"),
    "timestamp": (
        lambda t: (
            (pa.types.is_timestamp(t) and t.tz is not None) or pa.types.is_integer(t) or _text(t)
        ),
        "timestamp with a time zone",
    ),
}


def check_schema(source: Source, schema: pa.Schema, *, text: bool = False) -> None:
    """Raises RecordError naming every column that is missing or of a type that does not fit;
    unknown columns are ignored.
    """
    must = {*source.id_fields, source.key, source.event_time}
    problems = []
    for name, kind in source.fields.items():
        if name not in schema.names:
            if not kind.optional or name in must:
                problems.append(f"column {name!r} is missing ({did_you_mean(name, schema.names)})")
        elif len(schema.get_all_field_indices(name)) > 1:
            problems.append(f"column {name!r} is there twice")
        elif not text and not _fits(kind, schema.field(name).type):
            problems.append(
                f"column {name!r} is {schema.field(name).type}, expected {_FITS[kind.kind][1]}"
            )
    if problems:
        raise RecordError(f"the file does not fit {source.owner}: {'; '.join(problems)}")


def _fits(kind: FieldType, found: pa.DataType) -> bool:
    if pa.types.is_dictionary(found):
        found = found.value_type
    return pa.types.is_null(found) or _FITS[kind.kind][0](found)
