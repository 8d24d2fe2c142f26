"""Everything that a client writes on the wire: rows of any kind as JSON, bodies, and records in
parts.

Data frames and tables are known by what they can do (`to_pylist`, `to_dicts`, `to_dict`), so none
is imported.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from twinstream.client.answers import Offsets
from twinstream.client.errors import InvalidInputError

PART_BYTES, PART_RECORDS = 4_000_000, 10_000
JSON = "application/json"
_ONE = (str, bytes, bytearray, Mapping, msgspec.Struct)


class FileAnnounced(msgspec.Struct, frozen=True, kw_only=True):
    """An object on S3; without `sha256` and `version_id` what is there now is taken."""

    uri: str
    sha256: str = ""
    version_id: str = ""


def rows_of(rows: Any) -> list[Any]:
    """One row or many, of any kind, as a list of what `encoded` takes."""
    if hasattr(rows, "to_pylist"):  # pyarrow.Table, RecordBatch
        return list(rows.to_pylist())
    if hasattr(rows, "to_dicts"):  # polars.DataFrame
        return list(rows.to_dicts())
    if hasattr(rows, "to_dict") and hasattr(rows, "columns"):  # pandas.DataFrame
        return list(rows.to_dict(orient="records"))
    if isinstance(rows, _ONE) or hasattr(rows, "__dataclass_fields__"):
        return [rows]
    return list(rows)


def encoded(row: Any, number: int) -> bytes:
    """JSON of a row; raises InvalidInputError. Bytes are taken as the JSON that they are."""
    if isinstance(row, (bytes, bytearray)):
        return bytes(row)
    try:
        data = _encode(row)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidInputError(f"row {number} cannot be JSON: {error}", row=number) from error
    if data[:1] != b"{":
        raise InvalidInputError(
            f"row {number} is a {type(row).__name__}: give a mapping, a dataclass or a struct",
            row=number,
        )
    return data


def _plain(value: Any) -> Any:
    """What JSON has no word for: missing values, numbers and times of numpy and pandas,
    mappings.
    """
    if type(value).__name__ in {"NAType", "NaTType"}:
        return None
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "to_pydatetime"):
        return value.to_pydatetime(warn=False)
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"a {type(value).__name__}")


_encode = msgspec.json.Encoder(enc_hook=_plain, decimal_format="number").encode


def question(
    rows: Any,
    at: Any = None,
    min_position: Offsets | None = None,
    max_staleness_ms: float | None = None,
    on_error: str | None = None,
) -> bytes:
    """Body of `POST /v1/predict/<model>`."""
    body: dict[str, Any] = {
        "rows": [msgspec.Raw(encoded(row, i)) for i, row in enumerate(rows_of(rows))]
    }
    return _encode(
        body | _given(at=at, on_error=on_error, **_fresh(min_position, max_staleness_ms))
    )


def view_keys_body(
    keys: Iterable[Any],
    features: Iterable[str] | None = None,
    at: Any = None,
    min_position: Offsets | None = None,
    max_staleness_ms: float | None = None,
) -> bytes:
    """Body of `POST /v1/views/<view>`."""
    body: dict[str, Any] = {"keys": [_key(key) for key in keys]}
    names = None if features is None else list(features)
    more = _given(at=at, features=names, **_fresh(min_position, max_staleness_ms))
    return _encode(body | more)


def _key(key: Any) -> Any:
    """Of several fields a list; numbers and moments that JSON would spell otherwise as text."""
    if isinstance(key, (list, tuple)):
        return [_key(part) for part in key]
    return key if isinstance(key, (str, int)) else _text(key)


def view_query(
    key: tuple[object, ...],
    at: Any = None,
    min_position: Offsets | None = None,
    max_staleness_ms: float | None = None,
) -> list[tuple[str, str]]:
    """Query of `GET /v1/views/<view>`: `key` once for each key field."""
    more = _given(at=at, **_fresh(min_position, max_staleness_ms))
    return [
        *(("key", _text(part)) for part in key),
        *((name, _text(value)) for name, value in more.items()),
    ]


def announcement(
    source: str,
    files: Iterable[Any],
    file_format: str,
) -> bytes:
    """Body of `POST /v1/data-arrived`."""
    named = [FileAnnounced(uri=file) if isinstance(file, str) else file for file in files]
    refs = [{"sha256": "", **msgspec.to_builtins(file)} for file in named]
    return _encode({"source": source, "files": refs, "format": file_format})


def parts_of(records: Any) -> Iterator[tuple[int, int, bytes]]:
    """(number of the first record, count, body) of each part: JSON lists that a service takes at
    a time.

    An iterator is read as it is sent, so a stream of any length takes the memory of one part.
    """
    begin, part, size = 0, list[bytes](), 0
    for number, record in enumerate(_streamed(records)):
        data = encoded(record, number)
        if part and (size + len(data) > PART_BYTES or len(part) == PART_RECORDS):
            yield begin, len(part), _joined(part)
            begin, part, size = number, [], 0
        part.append(data)
        size += len(data) + 1
    if part:
        yield begin, len(part), _joined(part)


def _streamed(records: Any) -> Iterable[Any]:
    return records if isinstance(records, Iterator) else rows_of(records)


def _joined(part: list[bytes]) -> bytes:
    return b"[" + b",".join(part) + b"]"


def _fresh(min_position: Offsets | None, max_staleness_ms: float | None) -> dict[str, Any]:
    return {"min_position": min_position or None, "max_staleness_ms": max_staleness_ms}


def _given(**named: Any) -> dict[str, Any]:
    return {name: value for name, value in named.items() if value is not None}


def _text(value: Any) -> str:
    """A value of a query: text as it is, all else as JSON has it."""
    return value if isinstance(value, str) else _encode(value).decode().strip('"')
