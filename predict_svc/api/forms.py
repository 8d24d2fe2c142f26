"""Bodies of a prediction that are not plain JSON rows: columns, Arrow streams, and what is packed.

The first bytes say which: JSON never begins as the others do. Plain rows pay nothing for that.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from predict_svc.api.arrow_messages import has_packed_buffers
from predict_svc.api.messages import (
    BAD,
    OnError,
    PredictBody,
    RequestError,
    TooLargeError,
    UnprocessableError,
    Wish,
    check_depth,
    misfit,
    predict_body,
)
from twinstream.features.request import as_written
from twinstream.mesh.problems import Place

GZIP, ZSTD, STREAM = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\xff\xff\xff\xff"
COLUMNS = b'"columns"'
GZIP_WINDOW = 31
REST = b"twinstream.request"
"""In the metadata of a stream's schema: JSON of what a JSON body says beside its rows."""
PLAIN = (
    pa.types.is_integer,
    pa.types.is_boolean,
    pa.types.is_null,
    pa.types.is_string,
    pa.types.is_large_string,
)


class BesideColumns(Wish, frozen=True, kw_only=True):
    """What a body says beside its rows."""

    at: int | str | None = None
    on_error: OnError = "request"


class ColumnsBody(BesideColumns, frozen=True, kw_only=True):
    """A body that gives columns, all of one length, in place of rows."""

    columns: dict[str, list[Any]]


_columns = msgspec.json.Decoder(ColumnsBody, float_hook=as_written)
_rest = msgspec.json.Decoder(BesideColumns)


def is_other(data: bytes) -> bool:
    """Whether what is not a body of rows may be one of another form."""
    return data.startswith((GZIP, ZSTD, STREAM)) or COLUMNS in data


def body_of(data: bytes, most_bytes: int, most_rows: int) -> PredictBody:
    """The body in any form; raises RequestError, TooLargeError."""
    plain = unpacked(data, most_bytes)
    if plain.startswith(STREAM):
        return _of_stream(plain, most_rows)
    try:
        return predict_body(plain)
    except RequestError:
        if COLUMNS not in plain:
            raise
    return _of_columns(plain)


def unpacked(data: bytes, most: int) -> bytes:
    """The body as it was before it was packed; not a byte more than `most` is unpacked."""
    if not data.startswith((GZIP, ZSTD)):
        return data
    try:
        plain = _gunzipped(data, most) if data.startswith(GZIP) else _unzstd(data, most)
    except (zlib.error, OSError, EOFError) as error:
        raise RequestError(f"the body cannot be unpacked: {error}") from error
    if len(plain) > most:
        raise TooLargeError(
            f"the body unpacks to more than {most} bytes", Place(remedy="send it in parts")
        )
    return plain


def _gunzipped(data: bytes, most: int) -> bytes:
    unpacking = zlib.decompressobj(GZIP_WINDOW)
    plain = unpacking.decompress(data, most + 1)
    if len(plain) <= most and (not unpacking.eof or unpacking.unused_data):
        raise EOFError("it breaks off, or something follows it")
    return plain


def _unzstd(data: bytes, most: int) -> bytes:
    with pa.CompressedInputStream(pa.BufferReader(data), "zstd") as stream:
        plain: bytes = stream.read(most + 1)
    return plain


def _of_columns(data: bytes) -> PredictBody:
    try:
        body = _columns.decode(data)
    except BAD as error:
        raise misfit(error) from error
    return _body(list(body.columns), list(body.columns.values()), body)


def _of_stream(data: bytes, most_rows: int) -> PredictBody:
    try:
        table = pa.Table.from_batches(*_batches(data, most_rows))
        rest = _rest.decode((table.schema.metadata or {}).get(REST, b"{}"))
        names = table.column_names
        return _body(names, [_values(n, table[i]) for i, n in enumerate(names)], rest)
    except (pa.ArrowException, OSError, *BAD) as error:
        raise RequestError(f"the Arrow stream does not fit: {error}") from error


def _batches(data: bytes, most_rows: int) -> tuple[list[pa.RecordBatch], pa.Schema]:
    """The batches, and their schema.

    A batch may claim rows that take no bytes, so rows are counted first.
    """
    if has_packed_buffers(data):
        raise RequestError(
            "the Arrow stream has compressed buffers",
            Place(remedy="write it without, and pack the whole body"),
        )
    with pa.ipc.open_stream(data) as stream:
        batches, rows = [], 0
        for batch in stream:
            batch.validate(full=True)
            rows += batch.num_rows
            if rows > most_rows:
                raise UnprocessableError(
                    f"the stream holds more than {most_rows} rows", Place(remedy="send fewer")
                )
            batches.append(batch)
        return batches, stream.schema


def _body(names: list[str], columns: list[list[Any]], rest: BesideColumns) -> PredictBody:
    if len(set(names)) < len(names):
        raise RequestError("a column comes twice", Place(remedy="give each once"))
    lengths = {len(column) for column in columns}
    if len(lengths) > 1:
        told = ", ".join(f"{n} {len(c)}" for n, c in zip(names, columns, strict=True))
        raise RequestError(
            f"columns have different lengths ({told})", Place(remedy="give all the same")
        )
    rows = [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]
    check_depth(rows)
    return PredictBody(
        rows=rows,
        at=rest.at,
        on_error=rest.on_error,
        min_position=rest.min_position,
        max_staleness_ms=rest.max_staleness_ms,
    )


def _values(name: str, column: pa.ChunkedArray) -> list[Any]:
    """A column's values as JSON would have brought them."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _values(name, column.cast(kind.value_type))
    if pa.types.is_timestamp(kind):
        values: list[Any] = column.cast(pa.timestamp("us", kind.tz)).cast(pa.int64()).to_pylist()
        return values
    if pa.types.is_date(kind):
        texts: list[Any] = column.cast(pa.string()).to_pylist()
        return texts
    if pa.types.is_decimal(kind):
        return [None if v is None else as_written(str(v)) for v in column.to_pylist()]
    if pa.types.is_floating(kind):
        return list(_finite(name, column))
    if not any(fits(kind) for fits in PLAIN):
        remedy = "send text, numbers or moments"
        raise RequestError(f"{name}: Arrow's {kind} is not taken", Place(field=name, remedy=remedy))
    return list(column.to_pylist())


def _finite(name: str, column: pa.ChunkedArray) -> Iterator[float | None]:
    doubles = column.cast(pa.float64())
    if pc.all(pc.is_finite(doubles)).as_py() is False:
        raise RequestError(
            f"{name}: holds a number that is not finite",
            Place(field=name, remedy="send null for what is missing"),
        )
    yield from doubles.to_pylist()
