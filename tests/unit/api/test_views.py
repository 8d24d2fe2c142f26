"""Views over HTTP: typed values, many keys, several views, JSON and Arrow alike."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal as Exact
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from predict_svc.api.view_routes import ARROW, MOST_VIEWS
from predict_svc.api.view_values import answers_of
from tests.unit.api.fakes import NOW, FakeReader, World
from twinstream import Bool, Decimal, Int, Source, String, Timestamp, View, last, mean, sum_
from twinstream.define.fields.decimal import decimal_of
from twinstream.define.fields.timestamp import moment_of

AT = {"accept": ARROW}


@pytest.fixture
def world() -> World:
    made = World()
    made.promote(seed=1)
    return made


class NullReader(FakeReader):
    """A view in which no number is known."""

    def read_many(self, *args: Any, **more: Any) -> Any:
        answers, positions = super().read_many(*args, **more)
        return np.full_like(answers, np.nan), positions


def exactly(answer: Any) -> Any:
    """The body as it is written: no decimal passes through a float."""
    return json.loads(answer.data, parse_float=Exact)


def streams(data: bytes) -> Iterator[pa.Table]:
    source = pa.BufferReader(data)
    while source.tell() < len(data):
        yield pa.ipc.open_stream(source).read_all()


def test_counts_are_integers_and_decimals_have_their_places(world: World) -> None:
    features = exactly(world.client.get("/v1/views/spending?key=s1"))["features"]
    assert (features["orders_24h"], type(features["orders_24h"])) == (3, int)
    assert str(features["amount_24h"]) == "3.00"
    assert str(features["amount_spread_30d"]) == "3.0"


def test_many_keys_are_answered_in_their_order(world: World) -> None:
    body = {"keys": ["s1", "never", "s22"], "features": ["orders_30d", "amount_24h"], "at": NOW}
    answer = exactly(world.client.post("/v1/views/spending", json=body))
    assert [row["key"] for row in answer["rows"]] == body["keys"]
    assert [row["features"]["orders_30d"] for row in answer["rows"]] == [3, 6, 4]
    assert set(answer["rows"][0]["features"]) == set(body["features"])
    assert answer["at"] == "2023-11-14T22:13:20Z"
    assert answer["release"] == f"{world.pipeline.digest[:8]}-e1"
    assert answer["position"]["epoch"] == 1


def test_many_keys_say_what_one_key_says(world: World) -> None:
    many = exactly(world.client.post("/v1/views/spending", json={"keys": ["s1"], "at": NOW}))
    one = exactly(world.client.get(f"/v1/views/spending?key=s1&at={NOW}"))
    assert many["rows"][0]["features"] == one["features"]
    assert many["rows"][0]["nulls"] == one["nulls"] == {}


def test_several_views_are_read_at_one_moment(world: World) -> None:
    asked = {"spending": {"keys": ["s1", "s2"]}, "by-country": {"keys": ["NZ"]}}
    answer = world.client.post("/v1/views", json={"views": asked, "at": NOW}).json["views"]
    assert {name: len(found["rows"]) for name, found in answer.items()} == {
        "spending": 2,
        "by-country": 1,
    }
    assert answer["by-country"]["rows"][0]["features"]["basket_30d"] == [3, 3, 3]
    assert answer["spending"]["at"] == answer["by-country"]["at"]


def test_null_says_why(world: World) -> None:
    for name, reader in world.readers.items():
        world.readers[name] = NullReader(reader.plan.view, {1})
    found = world.client.post("/v1/views/by-shopper", json={"keys": ["s1"]}).json["rows"][0]
    assert found["features"]["seconds_24h"] is None
    assert found["nulls"]["seconds_24h"] == "no_value_in_window"
    assert found["nulls"]["dwell_3d"] == "fewer_values_than_asked"


def test_arrow_holds_the_values_of_json_in_their_types(world: World) -> None:
    asked = {"spending": {"keys": ["s1", "s22"]}, "by-shopper": {"keys": ["s1"]}}
    body = {"views": asked, "at": NOW}
    in_this_order = world.client.post("/v1/views", data=json.dumps(body), headers=AT)
    tables = list(streams(in_this_order.data))
    written = exactly(world.client.post("/v1/views", json=body))["views"]
    assert [t.schema.metadata[b"twinstream.view"].decode() for t in tables] == list(asked)
    for table, found in zip(tables, map(written.get, asked), strict=True):
        rows = [{"shopper": row["key"], **row["features"]} for row in found["rows"]]
        assert table.to_pylist() == rows
        assert table.schema.metadata[b"twinstream.release"].decode() == found["release"]
        position = json.loads(table.schema.metadata[b"twinstream.position"])
        assert position == found["position"]
    types = tables[0].schema
    assert types.field("orders_24h").type == pa.int64()
    assert types.field("amount_24h").type == pa.decimal128(38, 2)
    assert types.field("median_30d").type == pa.float64()


def test_one_key_comes_as_arrow_too(world: World) -> None:
    (table,) = streams(world.client.get("/v1/views/spending?key=s1", headers=AT).data)
    assert table["shopper"].to_pylist() == ["s1"]


def test_no_key_is_answered_with_no_row(world: World) -> None:
    answer = world.client.post("/v1/views/spending", json={"keys": []})
    assert (answer.status_code, answer.json["rows"], answer.json["position"]) == (200, [], None)
    arrow = world.client.post("/v1/views/spending", json={"keys": []}, headers=AT)
    assert next(streams(arrow.data)).num_rows == 0


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("/spending", {"keys": ["a"] * 1001}, 422, "at most 1000"),
        (
            "",
            {"views": {"spending": {"keys": ["a"] * 600}, "by-country": {"keys": ["b"] * 600}}},
            422,
            "at most 1000",
        ),
        ("", {"views": {f"v{i}": {"keys": []} for i in range(MOST_VIEWS + 1)}}, 422, "at most 64"),
        ("/spending", {"keys": ["a", ["b", "c"]]}, 400, "key 1: "),
        ("/spending", {"keys": ["a"], "features": ["orders"]}, 400, "orders_24h"),
        ("/spending", {}, 400, "keys"),
        ("/nothing", {"keys": []}, 404, "spending"),
        ("", {"views": {"nothing": {"keys": []}}}, 404, "spending"),
        ("/spending", {"keys": ["a"], "at": "noon"}, 400, "at:"),
        ("/spending", {"keys": ["a"], "min_position": {"orders": {"0": 99}}}, 504, "spending"),
    ],
)
def test_what_is_wrong_is_said(
    world: World, path: str, body: dict[str, Any], status: int, words: str
) -> None:
    answer = world.client.post(f"/v1/views{path}", json=body)
    assert (answer.status_code, words in answer.json["error"]) == (status, True), answer.json


@given(st.integers(-(2**52), 2**52), st.integers(0, 15))
def test_a_decimal_is_exact_up_to_the_units_a_double_holds(units: int, places: int) -> None:
    assert decimal_of(places)(units / 10**places) == Exact(units).scaleb(-places)


@pytest.mark.parametrize("units", [0, 1, -7, 250, 10**12])
def test_a_decimal_is_written_with_all_its_places(units: int) -> None:
    assert f"{decimal_of(2)(units / 100):f}" == f"{units / 100:.2f}"


def test_moments_are_moments_and_whole_numbers_whole() -> None:
    source = Source(
        "trips",
        id="id",
        key="id",
        event_time="at",
        known_at="at",
        fields={"id": Int(), "at": Timestamp(), "fee": Decimal(3), "ok": Bool(), "to": String()},
    )
    view = View(
        "by-trip",
        source,
        by="id",
        features={
            "when": last("at").over("1h"),
            "fees": sum_("fee").over("1h"),
            "oks": sum_("ok").over("1h"),
            "fee": mean("fee").over("1h"),
        },
    )
    when, fees, oks, fee = answers_of(view).values()
    row = [float(NOW), 1.5, 2.0, 1.5]
    assert when.value(row) == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    assert moment_of(-1.0) == datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
    assert str(fees.value(row)) == "1.500"
    assert (oks.value(row), type(oks.value(row))) == (2, int)
    assert fee.value(row) == 1.5
