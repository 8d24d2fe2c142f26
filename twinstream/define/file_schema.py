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
        elif len(schema.get_all_field_indices(name)) > 1:
            problems.append(f"column {name!r} is there twice")
        elif not text and not _fits(kind, schema.field(name).type):
            problems.append(
                f"column {name!r} is {schema.field(name).type}, expected {kind.fits_name}"
            )
    if problems:
        raise RecordError(f"the file does not fit {source.owner}: {'; '.join(problems)}")


def _fits(kind: FieldType, found: pa.DataType) -> bool:
    if pa.types.is_dictionary(found):
        found = found.value_type
    return pa.types.is_null(found) or kind.fits(found)
