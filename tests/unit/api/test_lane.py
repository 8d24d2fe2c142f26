"""Past Flask a request is answered as by Flask; only what waits or is large goes to a worker
thread.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from predict_svc.api.lane import FEW_ROWS, lane
from tests.unit.api.fakes import NOW, World, visit
from twinstream.mesh.door import Answer


@pytest.fixture
def world() -> World:
    made = World()
    made.promote(seed=1)
    return made


def without_chance(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in {"id", "timing"}}


BODIES: list[dict[str, Any]] = [
    {"rows": [visit()]},
    {"rows": [visit("s22"), visit(country=None)]},
    {"rows": [visit()] * 40},
    {"rows": [visit()], "at": "2024-01-01T00:00:00Z"},
    {"rows": [visit()], "min_position": {"orders": {"0": 3}}},
    {"rows": [visit()], "min_position": {"orders": {"0": 300}}},
    {"rows": [visit()], "min_position": {"nothing": {"0": 3}}},
    {"rows": [visit()], "max_staleness_ms": 5},
    {"rows": [visit()], "max_staleness_ms": -1},
    {"rows": [visit(), {"shopper": "s"}]},
    {"rows": []},
    {"rows": 3},
    {},
]


@pytest.mark.parametrize("body", BODIES, ids=str)
def test_the_lane_answers_as_flask_does(world: World, body: dict[str, Any]) -> None:
    by_flask = world.client.post(f"/v1/predict/{world.model.name}", json=body)
    status, found, headers = world.ask_by_lane(**{"rows": None, **body})
    if "rows" not in body:
        assert (status, by_flask.status_code) == (400, 400)
        return
    assert status == by_flask.status_code
    assert without_chance(found) == without_chance(by_flask.json)
    assert headers["content-type"] == by_flask.content_type
    assert headers.get("Retry-After") == by_flask.headers.get("Retry-After")
    events = world.events
    assert len(events) % 2 == 0
    for one, other in zip(events[: len(events) // 2], events[len(events) // 2 :], strict=True):
        assert one == msgspec.structs.replace(other, id=one.id)


@pytest.mark.parametrize("model", ["other", "", "a/b", "will-buy/"])
def test_another_model_is_named_in_the_same_words(world: World, model: str) -> None:
    status, found, _ = world.ask_by_lane([visit()], model or "x")
    assert status == 404
    assert "there is no model" in found["error"]


def test_without_a_model_the_lane_says_when_to_ask_again() -> None:
    status, found, headers = World().ask_by_lane([visit()])
    assert (status, headers["Retry-After"]) == (503, "1")
    assert "cannot answer" in found["error"]


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff", b"null", b'{"rows":[1]}'])
def test_a_body_that_is_none_is_refused_in_the_loop(world: World, data: bytes) -> None:
    found = lane(world.api)(world.model.name, data)
    assert isinstance(found, Answer)
    assert found.status == 400


def test_what_waits_or_is_large_goes_to_a_worker(world: World) -> None:
    take = lane(world.api)
    for body, at_once in (
        ({"rows": [visit()] * FEW_ROWS, "at": NOW}, True),
        ({"rows": [visit()] * (FEW_ROWS + 1)}, False),
        ({"rows": [visit()], "max_staleness_ms": 1}, False),
        ({"rows": [visit()], "min_position": {"orders": {"0": 1}}}, False),
    ):
        found = take(world.model.name, msgspec.json.encode(body))
        assert isinstance(found, Answer) == at_once
