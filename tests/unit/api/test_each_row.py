"""`on_error: "row"`: a row that does not fit has its problem in its place; others are answered."""

from __future__ import annotations

import gzip
import json
from typing import Any

import msgspec
import numpy as np
import pytest

from predict_svc.view.errors import WindowNotKept
from tests.unit.api.fakes import NOW, FakeReader, World, by_lane, visit
from twinstream.errors import MessageRefusedError

BAD_ROWS: list[Any] = [
    {"shopper": "s"},
    visit(page=None),
    visit(visited_at="yesterday"),
    3,
    None,
    [visit()],
    visit(mobile="perhaps"),
    visit(shopper=[["deep"]]),
]


@pytest.fixture
def world() -> World:
    made = World()
    made.promote(seed=1)
    return made


def each(world: World, rows: list[Any], **more: Any) -> tuple[int, Any]:
    status, found, _ = world.ask_by_lane(rows, on_error="row", **more)
    return status, found


@pytest.mark.parametrize("bad", BAD_ROWS, ids=repr)
def test_one_bad_row_costs_the_others_nothing(world: World, bad: Any) -> None:
    status, found = each(world, [visit(), bad, visit("s22")])
    expected = world.ask([visit(), visit("s22")]).json["predictions"]
    first, problem, last = found["predictions"]
    assert (status, [first, last]) == (207, expected)
    assert (problem["row"], problem["status"]) == (1, 400)
    assert problem["error"].startswith(("row 1: ", "the"))


def test_a_row_keeps_its_id_whatever_became_of_those_before_it(world: World) -> None:
    rows = [visit("a"), 3, visit("bb"), visit("ccc"), {}, visit("dddd")]
    _, found = each(world, rows)
    assert [(p.id, p.request["shopper"], p.output) for p in world.served] == [
        (f"{found['id']}-{i}", rows[i]["shopper"], found["predictions"][i]) for i in (0, 2, 3, 5)
    ]


def test_without_a_bad_row_the_answer_is_that_of_a_whole_request(world: World) -> None:
    status, found = each(world, [visit(), visit("s22")])
    whole = world.ask([visit(), visit("s22")]).json
    without = {"id", "timing"}
    assert status == 200
    assert {k: v for k, v in found.items() if k not in without} == {
        k: v for k, v in whole.items() if k not in without
    }


def test_when_no_row_fits_each_says_why_and_nothing_is_remembered(world: World) -> None:
    status, found = each(world, [{}, 3])
    assert (status, [p["row"] for p in found["predictions"]]) == (207, [0, 1])
    assert (found["position"], found["age_ms"], world.events) == ({}, None, [])


def test_a_request_is_still_refused_whole_unless_it_asks_for_rows(world: World) -> None:
    for more in ({}, {"on_error": "request"}):
        status, found, _ = world.ask_by_lane([visit(), {}], **more)
        assert (status, found["row"]) == (400, 1)
    status, found, _ = world.ask_by_lane([visit()], on_error="ignore")
    assert (status, "on_error" in found["error"]) == (400, True)


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"min_position": {"orders": {"0": 99}}}, 504),
        ({"min_position": {"nothing": {"0": 9}}}, 400),
        ({"at": "noon"}, 400),
    ],
)
def test_what_concerns_every_row_refuses_the_request(
    world: World, more: dict[str, Any], status: int
) -> None:
    assert each(world, [visit(), 3], **more)[0] == status
    assert world.events == []


class Keeping(FakeReader):
    """A view that keeps nothing before NOW."""

    def read_many(self, wanted: Any, at_us: Any, epoch: int | None = None) -> Any:
        if len(wanted) and int(np.min(at_us)) < NOW:
            raise WindowNotKept(f"ask for {NOW} us or later")
        return super().read_many(wanted, at_us, epoch)


def test_a_moment_that_is_kept_no_more_is_the_problem_of_its_row(world: World) -> None:
    for name, reader in world.readers.items():
        world.readers[name] = Keeping(reader.plan.view, {1})
    old = {3, 7, 8}
    rows = [visit(visited_at=NOW - (i in old)) for i in range(12)]
    assert world.ask_by_lane(rows)[0] == 409
    status, found = each(world, rows)
    assert status == 207
    assert {
        i: p["status"] for i, p in enumerate(found["predictions"]) if isinstance(p, dict)
    } == dict.fromkeys(old, 409)
    assert [int(p.id.rpartition("-")[2]) for p in world.served] == [
        i for i in range(12) if i not in old
    ]
    assert {p.id.rpartition("-")[0] for p in world.served} == {found["id"]}


def test_a_row_that_fits_no_message_is_its_own_problem(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Bounded(list[Any]):
        def append(self, event: Any) -> None:
            if sum(len(row.request["visit_id"]) for row in event.rows) > 1000:
                raise MessageRefusedError("Kafka never takes it")
            super().append(event)

    monkeypatch.setattr(world, "events", Bounded())
    rows = [visit(visit_id="x" * (2000 if i == 2 else 200)) for i in range(9)]
    status, found = each(world, rows)
    assert status == 207
    assert {i: p["status"] for i, p in enumerate(found["predictions"]) if isinstance(p, dict)} == {
        2: 413
    }
    assert len(world.served) == 8


@pytest.mark.parametrize("packed", [False, True])
def test_columns_are_answered_row_by_row_too(world: World, packed: bool) -> None:
    good = visit()
    columns = {name: [value, value] for name, value in good.items()} | {"page": ["/", None]}
    data = json.dumps({"columns": columns, "on_error": "row"}).encode()
    answer = by_lane(world.api, world.model.name, gzip.compress(data) if packed else data)
    predictions = msgspec.json.decode(answer.body)["predictions"]
    assert (answer.status, predictions[1]["field"]) == (207, "page")
    assert isinstance(predictions[0], float)


def test_many_bad_rows_are_answered_within_one_request(world: World) -> None:
    rows = [visit() if i % 2 else {"shopper": "s"} for i in range(1000)]
    status, found = each(world, rows)
    assert status == 207
    assert [isinstance(p, dict) for p in found["predictions"]] == [i % 2 == 0 for i in range(1000)]
    assert len(world.served) == 500
