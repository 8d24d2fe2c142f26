"""The columns of a row between Spark and Arrow: `_position`, `_known_us`, then the source's fields
in their stored types.
"""

from __future__ import annotations

import pyarrow as pa

from twinstream.define import Source

POSITION, KNOWN, EPOCH = "_position", "_known_us", "_epoch"
_SPARK = {
    "string": "string",
    "int64": "bigint",
    "bool": "boolean",
    "double": "double",
    "binary": "binary",
    "int32": "int",
}


def row_schema(source: Source) -> pa.Schema:
    """Arrow schema of a row of the history."""
    numbers = [pa.field(POSITION, pa.int64()), pa.field(KNOWN, pa.int64())]
    return pa.schema([*numbers, *(pa.field(f.name, f.type) for f in source.arrow_fields)])


def spark_schema(source: Source) -> str:
    """The same as a Spark DDL string."""
    return ddl(row_schema(source))


def ddl(schema: pa.Schema) -> str:
    """A Spark DDL string of an Arrow schema; raises KeyError for a type that the mesh does not
    use.
    """
    return ", ".join(f"`{field.name}` {_spark_type(field.type)}" for field in schema)


def _spark_type(kind: pa.DataType) -> str:
    return f"array<{_spark_type(kind.value_type)}>" if pa.types.is_list(kind) else _SPARK[str(kind)]


def one_batch(table: pa.Table) -> pa.RecordBatch:
    """A table as one batch, also when it has no rows."""
    batches = table.combine_chunks().to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=table.schema)
