"""Whether a file of some Arrow schema can hold records of a source, before any row of it is
read.
"""

from __future__ import annotations

import pyarrow as pa

from twinstream.define.fields.base import FieldType
from twinstream.define.location import did_you_mean
from twinstream.define.source import Source
from twinstream.errors import RecordError


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
        elif problem := _problem(name, kind, schema, text=text):
            problems.append(problem)
    if problems:
        raise RecordError(f"the file does not fit {source.owner}: {'; '.join(problems)}")


def _problem(
    name: str,
    kind: FieldType,
    schema: pa.Schema,
    *,
    text: bool,
) -> str:
    """What is wrong with a column that is there, "" for nothing."""
    if len(schema.get_all_field_indices(name)) > 1:
        return f"column {name!r} is there twice"
    found = schema.field(name).type
    return (
        ""
        if text or _fits(kind, found)
        else f"column {name!r} is {found}, expected {kind.fits_name}"
    )


def _fits(kind: FieldType, found: pa.DataType) -> bool:
    if pa.types.is_dictionary(found):
        found = found.value_type
    return pa.types.is_null(found) or kind.fits(found)
