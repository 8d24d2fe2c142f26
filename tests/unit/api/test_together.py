"""Requests that come in the same turn of the loop are answered as each would be alone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pytest

from predict_svc.api.messages import PredictBody
from predict_svc.api.together import MOST_ROWS, MOST_WAITING, Together
from predict_svc.view.errors import WindowNotKept
from tests.unit.api.fakes import NOW, World, by_lane_at_once, visit
from twinstream.audit.rebuild import scored
from twinstream.features.arrays import Features
from twinstream.features.inputs import Inputs
from twinstream.mesh.door import Answer
from twinstream.mesh.problems import RefusedError
from twinstream.nn import TabularNetwork
from twinstream.nn.files import from_files
from twinstream.protocol.predictions import find_row

GOOD: list[dict[str, Any]] = [
    {"rows": [visit()]},
    {"rows": [visit("s22"), visit(country=None)]},
    {"rows": [visit("s333", mobile=False)]},
    {"rows": [visit(visited_at=NOW - 7_200_000_000)]},
]
BAD: list[dict[str, Any]] = [
    {"rows": []},
    {"rows": [visit(), {"shopper": "s"}]},
    {"rows": [visit(visited_at="yesterday")]},
    {"rows": [visit()], "min_position": {"nothing": {"0": 3}}},
]


@pytest.fixture
def world() -> World:
    made = World()
    made.promote(seed=1)
    return made


def asked(world: World, bodies: Sequence[dict[str, Any]]) -> list[tuple[int, Any]]:
    found = by_lane_at_once(world.api, world.model.name, list(map(msgspec.json.encode, bodies)))
    return [(answer.status, msgspec.json.decode(answer.body)) for answer in found]


def without_chance(answer: tuple[int, Any]) -> tuple[int, Any]:
    status, body = answer
    return status, {name: value for name, value in body.items() if name not in {"id", "timing"}}


def alone(world: World, bodies: Sequence[dict[str, Any]]) -> list[tuple[int, Any]]:
    return [without_chance(asked(world, [body])[0]) for body in bodies]


def close(one: tuple[int, Any], other: tuple[int, Any]) -> bool:
    """Equal but for the last bits of scores, which belong to the shape of the batch."""
    scores = [answer[1].pop("predictions", []) for answer in (one, other)]
    return one == other and scores[0] == pytest.approx(scores[1], rel=1e-5)


@pytest.mark.parametrize("bodies", [GOOD, [*GOOD, *BAD], [*BAD, *GOOD], GOOD * 9, [BAD[2]] * 3])
def test_each_is_answered_as_it_is_alone(world: World, bodies: list[dict[str, Any]]) -> None:
    wanted = alone(world, bodies)
    found = list(map(without_chance, asked(world, bodies)))
    assert all(map(close, found, wanted)), (found, wanted)


def test_one_event_remembers_all_of_them(world: World) -> None:
    found = [body for _, body in asked(world, GOOD)]
    (event,) = world.events
    assert event.starts == [0, 1, 3, 4]
    for body, answer in zip(GOOD, found, strict=True):
        for i, (row, score) in enumerate(zip(body["rows"], answer["predictions"], strict=True)):
            prediction = find_row(event, f"{answer['id']}-{i}")
            assert prediction is not None
            assert (prediction.request, prediction.output) == (row, score)
            assert prediction.at_us == row["visited_at"]


def test_one_that_fails_costs_the_others_nothing(world: World) -> None:
    asked(world, [*GOOD, BAD[2], *GOOD])
    assert sum(n for n in map(len, (event.starts for event in world.events))) >= 6
    apart = [name for name, _ in world.meter.counted if name == "predict_requests_apart_total"]
    assert len(apart) == 1


def test_a_view_that_refuses_one_moment_refuses_that_request_only(world: World) -> None:
    for reader in world.readers.values():
        refuse_before(reader, NOW - 3_600_000_000)
    statuses = [status for status, _ in asked(world, GOOD)]
    assert statuses == [200, 200, 200, 409]


def refuse_before(reader: Any, moment: int) -> None:
    inner = reader.read_many

    def read_many(wanted: Any, at_us: Any, epoch: int | None = None) -> Any:
        if min(at_us) < moment:
            raise WindowNotKept("too long ago")
        return inner(wanted, at_us, epoch)

    reader.read_many = read_many


def test_no_turn_takes_more_rows_than_it_may() -> None:
    turns: list[int] = []

    def answer_all(model: str, bodies: Sequence[PredictBody]) -> list[Answer]:
        turns.append(sum(len(body.rows) for body in bodies))
        return [Answer(200, [], model.encode()) for _ in bodies]

    async def ask() -> list[Answer]:
        together = Together(answer_all)
        waiting = [
            together.add(f"m{i % 2}", PredictBody(rows=[{}] * rows))
            for i, rows in enumerate([16] * 20 + [MOST_ROWS + 1, 1])
        ]
        waiting[0].cancel()
        return await asyncio.gather(*waiting[1:])

    found = asyncio.run(ask())
    assert [answer.body for answer in found[:3]] == [b"m1", b"m0", b"m1"]
    assert sum(turns) == 20 * 16 + MOST_ROWS + 2
    assert max(turns) == MOST_ROWS + 1  # a request that is larger goes alone


def test_what_comes_while_too_many_wait_is_shed() -> None:
    async def ask() -> list[Answer]:
        together = Together(lambda model, bodies: [Answer(200, [], b"") for _ in bodies])
        waiting = [together.add("m", PredictBody(rows=[{}])) for _ in range(MOST_WAITING)]
        with pytest.raises(RefusedError, match="too many requests"):
            together.add("other", PredictBody(rows=[{}]))
        return await asyncio.gather(*waiting, *await later(together))

    async def later(together: Together) -> list[asyncio.Future[Answer]]:
        for _ in range(MOST_WAITING // MOST_ROWS + 2):
            await asyncio.sleep(0)
        return [together.add("other", PredictBody(rows=[{}]))]

    assert len(asyncio.run(ask())) == MOST_WAITING + 1


def test_each_score_is_rebuilt_to_the_byte_from_its_place_in_the_batch(world: World) -> None:
    asked(world, [{"rows": [visit(f"s{'x' * i}", mobile=i % 2 == 0)]} for i in range(13)])
    digest, files = next(iter(world.files.items()))
    loaded = from_files(files, digest, TabularNetwork)
    assert [prediction.row for prediction in world.served] == list(range(13))
    for prediction in world.served:
        features = features_of(prediction.features, loaded.config.inputs)
        assert scored(loaded, features, prediction.row, prediction.batch_shape) == prediction.output


def features_of(named: dict[str, Any], inputs: Inputs) -> Features:
    steps = np.full((1, len(inputs.sequences), inputs.longest), np.nan)
    for i, (name, length) in enumerate(inputs.sequences):
        steps[0, i, :length] = named[name]
    numeric = np.array([[named[name] for name in inputs.numeric]], np.float64)
    return Features(numeric, [[named[name]] for name in inputs.categorical], steps)
