"""Errors are problems of RFC 9457, by the lane and by Flask alike."""

from __future__ import annotations

from typing import Any

import pytest

from predict_svc.api.problems import PROBLEM
from tests.unit.api.fakes import World, visit


@pytest.fixture(scope="module")
def world() -> World:
    made = World()
    made.promote(seed=1)
    return made


@pytest.mark.parametrize(
    ("rows", "place"),
    [
        ([visit(), {"shopper": "s"}], {"row": 1, "field": "page"}),
        ([visit(page=None)], {"row": 0, "field": "page"}),
        ([], {}),
    ],
)
def test_a_problem_names_row_and_field(
    world: World, rows: list[dict[str, Any]], place: dict[str, Any]
) -> None:
    status, found, headers = world.ask_by_lane(rows)
    answer = world.ask(rows)
    assert (headers["content-type"], answer.content_type) == (PROBLEM, PROBLEM)
    assert answer.json == found
    assert {name: found[name] for name in ("row", "field") if name in found} == place
    assert (found["status"], found["title"]) == (status, "Bad Request")
    assert found["detail"] == found["error"]


@pytest.mark.parametrize(("path", "status"), [("/nowhere", 404), ("/v1/views/none?key=a", 404)])
def test_a_path_that_is_none_is_a_problem(world: World, path: str, status: int) -> None:
    answer = world.client.get(path)
    assert (answer.content_type, answer.json["status"]) == (PROBLEM, status)
