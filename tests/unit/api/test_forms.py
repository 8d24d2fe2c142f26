"""A prediction is the same whatever form its rows come in; no form costs more than it may."""

from __future__ import annotations

import gzip
import io
import json
from decimal import Decimal as Exact
from typing import Any

import msgspec
import pyarrow as pa
import pytest

from predict_svc.api import forms
from predict_svc.api.forms import REST, body_of, unpacked
from predict_svc.api.messages import RequestError, TooLargeError
from tests.unit.api.fakes import NOW, World, by_lane, visit

ROWS = [visit(), visit("s22", country=None), visit("s333", mobile=False)]
COLUMNS = {name: [row[name] for row in ROWS] for name in ROWS[0]}


def stream(table: pa.Table, compression: str | None = None) -> bytes:
    sink = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table)
    return sink.getvalue()


def zstd(data: bytes) -> bytes:
    return bytes(pa.Codec("zstd").compress(data, asbytes=True))


AS_ROWS, AS_COLUMNS = json.dumps({"rows": ROWS}).encode(), json.dumps({"columns": COLUMNS}).encode()
AS_STREAM = stream(pa.table(COLUMNS))
AS_TYPES = stream(
    pa.table(
        COLUMNS
        | {
            "visited_at": pa.array([NOW] * len(ROWS), pa.timestamp("us", "UTC")),
            "country": pa.array(COLUMNS["country"]).dictionary_encode(),
        }
    )
)
FORMS = {
    "columns": AS_COLUMNS,
    "arrow": AS_STREAM,
    "arrow types": AS_TYPES,
    "gzip": gzip.compress(AS_ROWS),
    "zstd": zstd(AS_ROWS),
    "gzip columns": gzip.compress(AS_COLUMNS),
    "zstd arrow": zstd(AS_STREAM),
}


@pytest.fixture(scope="module")
def world() -> World:
    made = World()
    made.promote(seed=1)
    return made


def predictions(answer: bytes) -> bytes:
    return bytes(msgspec.json.decode(answer, type=dict[str, msgspec.Raw])["predictions"])


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_bytes_and_the_same_event(world: World, form: str) -> None:
    world.events.clear()
    plain, other = (
        by_lane(world.api, world.model.name, AS_ROWS),
        by_lane(world.api, world.model.name, FORMS[form]),
    )
    by_flask = world.client.post(f"/v1/predict/{world.model.name}", data=FORMS[form])
    assert (plain.status, other.status, by_flask.status_code) == (200, 200, 200), other.body
    assert predictions(plain.body) == predictions(other.body) == predictions(by_flask.data)
    first, second, third = world.events
    assert second == msgspec.structs.replace(first, id=second.id)
    assert third == msgspec.structs.replace(first, id=third.id)


def test_a_streams_metadata_says_what_a_body_says_beside_its_rows() -> None:
    rest = json.dumps({"at": "2024-01-01T00:00:00Z", "min_position": {"orders": {"0": 3}}})
    table = pa.table(COLUMNS).replace_schema_metadata({REST: rest})
    body = body_of(stream(table), 10**6, 10)
    assert (body.at, body.min_position) == ("2024-01-01T00:00:00Z", {"orders": {0: 3}})


def test_a_decimal_column_is_the_number_that_json_would_have_brought() -> None:
    table = pa.table({"amount": pa.array([Exact("12.50"), None], pa.decimal128(10, 2))})
    assert body_of(stream(table), 10**6, 10).rows == [{"amount": 12.5}, {"amount": None}]


@pytest.mark.parametrize("packed", [gzip.compress(b"0" * 10**8), zstd(b"0" * 10**8)])
def test_a_bomb_is_refused_before_it_is_unpacked(packed: bytes) -> None:
    with pytest.raises(TooLargeError, match="more than 1000 bytes"):
        unpacked(packed, 1000)


@pytest.mark.parametrize("size", [999, 1000])
def test_what_is_within_the_bound_is_unpacked_whole(size: int) -> None:
    assert unpacked(gzip.compress(b"x" * size), 1000) == b"x" * size
    assert unpacked(zstd(b"x" * size), 1000) == b"x" * size


def wide(value: Any, kind: pa.DataType) -> bytes:
    return stream(pa.table({"page": pa.array([value], kind)}))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b'{"columns": {"page": ["/"], "shopper": ["a", "b"]}}', "different lengths"),
        (b'{"columns": {"page": "/"}}', "does not fit"),
        (b'{"columns": {}}', "rows holds 0 rows"),
        (stream(pa.table(COLUMNS), "zstd"), "compressed buffers"),
        (stream(pa.table(COLUMNS), "lz4"), "compressed buffers"),
        (AS_STREAM[:200], "does not fit"),
        (forms.STREAM, "does not fit"),
        (forms.STREAM + b"\xff" * 64, "does not fit"),
        (gzip.compress(AS_ROWS)[:-9], "cannot be unpacked"),
        (gzip.compress(AS_ROWS) + b"more", "cannot be unpacked"),
        (zstd(AS_ROWS)[:-9], "cannot be unpacked"),
        (gzip.compress(gzip.compress(AS_ROWS)), "does not fit"),
        (wide(float("nan"), pa.float64()), "page: holds a number that is not finite"),
        (wide(b"/", pa.binary()), "page: Arrow's binary is not taken"),
    ],
)
def test_what_is_wrong_with_a_form_is_said(world: World, data: bytes, words: str) -> None:
    answer = by_lane(world.api, world.model.name, data)
    assert (answer.status, words in answer.body.decode()) == (400, True), answer.body


def test_a_stream_of_too_many_rows_is_refused_before_it_is_read(world: World) -> None:
    data = stream(pa.table({"nothing": pa.nulls(10**6)}))
    answer = by_lane(world.api, world.model.name, data)
    assert (answer.status, "more than 1000 rows" in answer.body.decode()) == (422, True)


def test_rows_that_name_columns_are_rows() -> None:
    with pytest.raises(RequestError, match="rows"):
        body_of(b'{"rows": "\\"columns\\""}', 1000, 10)
