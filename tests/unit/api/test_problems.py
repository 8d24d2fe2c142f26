"""Errors are problems of RFC 9457, by the lane and by Flask alike, in a form that stays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from predict_svc.api.messages import DEEPEST
from tests.unit.api.fakes import World, visit
from twinstream.client.errors import error_of
from twinstream.mesh.problems import PROBLEM

GOLDEN = Path(__file__).parents[2] / "contract" / "golden" / "problems.json"


@pytest.fixture(scope="module")
def world() -> World:
    made = World(wait_bound_s=0.01)
    made.promote(seed=1)
    return made


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


BODIES: dict[str, dict[str, Any]] = {
    "a field is missing": {"rows": [visit(), {"shopper": "s"}]},
    "a value does not fit": {"rows": [visit(mobile="perhaps")]},
    "a row is not an object": {"rows": [visit(), 3]},
    "there are no rows": {"rows": []},
    "there are too many rows": {"rows": [visit()] * 1001},
    "a row is nested too deep": {"rows": [visit(), visit(more=nested(DEEPEST + 1))]},
    "the moment is none": {"rows": [visit()], "at": "noon"},
    "a source is not known": {"rows": [visit()], "min_position": {"nothing": {"0": 1}}},
    "the position is not reached": {"rows": [visit()], "min_position": {"orders": {"0": 99}}},
}


def test_problems_have_the_form_that_was_committed(world: World) -> None:
    """Clients decode it: a change here is a change for each of them."""
    found = {what: world.ask_by_lane(**body)[1] for what, body in BODIES.items()}
    assert found == json.loads(GOLDEN.read_text())


@pytest.mark.parametrize("what", BODIES)
def test_flask_says_what_the_lane_says(world: World, what: str) -> None:
    status, found, headers = world.ask_by_lane(**BODIES[what])
    answer = world.client.post(f"/v1/predict/{world.model.name}", json=BODIES[what])
    assert (headers["content-type"], answer.content_type) == (PROBLEM, PROBLEM)
    assert (answer.status_code, answer.json) == (status, found)
    assert found["status"] == status


@pytest.mark.parametrize("what", BODIES)
def test_the_client_understands_each(world: World, what: str) -> None:
    status, found, _ = world.ask_by_lane(**BODIES[what])
    error = error_of(status, json.dumps(found).encode())
    assert (error.row, error.field) == (found.get("row", -1), found.get("field", ""))
    assert found.get("remedy", "") in str(error)


@pytest.mark.parametrize(("levels", "status"), [(DEEPEST - 1, 200), (DEEPEST, 422), (5000, 422)])
def test_a_row_may_be_nested_to_a_bound(world: World, levels: int, status: int) -> None:
    data = b'{"rows": [%s]}' % json.dumps(visit()).encode().replace(
        b'"page"', b'"more": %s, "page"' % (b"[" * levels + b"]" * levels)
    )
    answer = world.client.post(f"/v1/predict/{world.model.name}", data=data)
    assert answer.status_code == status, answer.json


@pytest.mark.parametrize(("path", "status"), [("/nowhere", 404), ("/v1/views/none?key=a", 404)])
def test_a_path_that_is_none_is_a_problem(world: World, path: str, status: int) -> None:
    answer = world.client.get(path)
    assert (answer.content_type, answer.json["status"]) == (PROBLEM, status)


def test_a_method_that_is_not_allowed_says_which_are(world: World) -> None:
    answer = world.client.delete("/v1/releases")
    assert (answer.status_code, answer.content_type) == (405, PROBLEM)
    assert "GET" in answer.headers["Allow"]
