"""A canary answers its share of the keys: the same key gets the same model by every way of asking,
and no answer is mixed.
"""

from __future__ import annotations

import json
import threading
from typing import Any

import msgspec
import pytest

from predict_svc.api.questions import Questions
from predict_svc.view.errors import WindowNotKept
from schemas.events import PredictionServed
from tests.unit.api.fakes import NOW, World, by_lane_at_once, visit
from tests.unit.api.test_questions import Message
from twinstream.audit.rebuild import scored
from twinstream.features import record
from twinstream.features.inputs import Inputs
from twinstream.nn import TabularNetwork
from twinstream.nn.files import from_files
from twinstream.nn.scorer import Scorer
from twinstream.protocol.predictions import predictions_of

SHOPPERS = [f"s{i}" for i in range(40)]
SERVED, CANARY = 1, 2


def world_with(share: float | None) -> World:
    made = World()
    made.promote(SERVED)
    if share is not None:
        made.canary(CANARY, share)
    return made


def only(seed: int) -> World:
    made = World()
    made.promote(seed)
    return made


def model_of(answer: Any) -> str:
    return str(answer["release"]).rsplit("-", 1)[1]


def models(world: World) -> dict[str, str]:
    """Which model answers each shopper."""
    return {s: model_of(world.ask([visit(s)]).json) for s in SHOPPERS}


def canaries(world: World) -> set[str]:
    digest = world.trained(CANARY)[:8]
    return {shopper for shopper, model in models(world).items() if model == digest}


def test_each_model_answers_as_it_does_alone() -> None:
    world, alone = world_with(0.5), {s: only(s) for s in (SERVED, CANARY)}
    served, canary = (world.trained(seed)[:8] for seed in (SERVED, CANARY))
    seeds = {served: SERVED, canary: CANARY}
    found = set()
    for shopper in SHOPPERS:
        answer = world.ask([visit(shopper)]).json
        seed = seeds[model_of(answer)]
        found.add(seed)
        assert answer["predictions"] == alone[seed].ask([visit(shopper)]).json["predictions"]
    assert found == {SERVED, CANARY}


def test_a_greater_share_adds_keys_and_none_is_taken_away() -> None:
    before: set[str] = set()
    for share in (0.0, 0.1, 0.3, 0.6, 1.0):
        now = canaries(world_with(share))
        assert before <= now
        before = now
    assert before == set(SHOPPERS)


def test_the_same_key_gets_the_same_model_by_every_way_of_asking() -> None:
    world = world_with(0.5)
    wanted = models(world)
    for shopper in SHOPPERS[:12]:
        row = visit(shopper)
        flask = world.ask([row], on_error="row").json
        _, lane, _ = world.ask_by_lane([row])
        columns = {name: [value] for name, value in row.items()}
        other = world.client.post(f"/v1/predict/{world.model.name}", json={"columns": columns}).json
        assert {model_of(flask), model_of(lane), model_of(other)} == {wanted[shopper]}


def test_requests_that_come_together_are_answered_by_release() -> None:
    world = world_with(0.5)
    wanted = models(world)
    world.events.clear()
    bodies = [{"rows": [visit(s)]} for s in SHOPPERS]
    answers = by_lane_at_once(world.api, world.model.name, list(map(msgspec.json.encode, bodies)))
    found = [msgspec.json.decode(answer.body) for answer in answers]
    assert [model_of(answer) for answer in found] == list(wanted.values())
    assert {event.release.model for event in world.events} == {
        world.trained(SERVED),
        world.trained(CANARY),
    }
    told = {row.id: row for event in world.events for row in predictions_of(event)}
    for shopper, answer in zip(SHOPPERS, found, strict=True):
        row = told[f"{answer['id']}-0"]
        assert (row.request["shopper"], [row.output]) == (shopper, answer["predictions"])
        assert row.canary == (row.release.model == world.trained(CANARY))


def test_a_request_of_several_rows_is_answered_whole_by_the_model_of_its_first() -> None:
    world = world_with(0.5)
    wanted = models(world)
    for first in SHOPPERS[:8]:
        answer = world.ask([visit(first), *map(visit, SHOPPERS)]).json
        assert model_of(answer) == wanted[first]
        alone = only(CANARY if wanted[first] == world.trained(CANARY)[:8] else SERVED)
        same = alone.ask([visit(first), *map(visit, SHOPPERS)]).json
        assert answer["predictions"] == same["predictions"]


def test_questions_over_kafka_are_answered_by_the_same_models() -> None:
    world, sent = world_with(0.5), list[PredictionServed]()
    wanted = models(world)
    refused: list[str] = []
    questions = Questions(
        world.api,
        world.model.name,
        publish=sent.append,
        refuse=lambda _message, reason: refused.append(reason),
        most_rows=16,
    )
    values = [json.dumps({"rows": [visit(shopper)]}).encode() for shopper in SHOPPERS]
    questions.handle([Message(value, i) for i, value in enumerate(values)])
    rows = [row for event in sent for row in predictions_of(event)]
    assert {row.request["shopper"]: row.release.model[:8] for row in rows} == wanted
    assert refused == []


def test_a_canary_that_cannot_answer_costs_nobody_an_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world, alone = world_with(1.0), only(SERVED)
    canary, predict = world.trained(CANARY), Scorer.predict

    def breaks(self: Scorer, features: Any) -> Any:
        if self.digest == canary:
            raise ZeroDivisionError("not today")
        return predict(self, features)

    monkeypatch.setattr(Scorer, "predict", breaks)
    rows = [visit(shopper) for shopper in SHOPPERS]
    answer = world.ask(rows).json
    assert model_of(answer) == world.trained(SERVED)[:8]
    assert answer["predictions"] == alone.ask(rows).json["predictions"]
    assert [event.canary for event in world.events] == [False]
    assert [reason for _, reason in world.failed] == ["not today"]


@pytest.mark.parametrize("end", ["stopped", "promoted", "broken"])
def test_what_serves_answers_all_keys_again(end: str) -> None:
    world = world_with(1.0)
    if end == "stopped":
        world.canary(None)
    elif end == "promoted":
        world.promote(CANARY)
    else:
        world.corrupt = True
        world.canary(3, 1.0)
        now = world.client.get("/v1/releases").json["models"][world.model.name]
        assert (now["canary"], "digest" in now["canary_reason"]) == (None, True)
    serves = world.trained(CANARY if end == "promoted" else SERVED)
    assert set(models(world).values()) == {serves[:8]}
    assert not any(event.canary for event in world.events)


def test_no_shadow_is_asked_beside_a_canary() -> None:
    world = world_with(1.0)
    world.shadow(3)
    world.ask([visit()])
    assert [(event.canary, event.shadow) for event in world.events] == [(True, None)]


def test_a_row_without_a_key_or_that_is_wrong_is_answered_as_ever() -> None:
    world = world_with(1.0)
    assert world.ask([]).status_code == 400
    assert world.ask([{"shopper": 5}]).status_code == 400
    assert world.ask([[], visit()], on_error="row").status_code == 207
    assert world.ask([visit()], min_position={"nothing": {"0": 3}}).status_code == 400


def test_the_releases_say_which_share_of_the_keys_it_answers() -> None:
    world = world_with(0.25)
    now = world.client.get("/v1/releases").json["models"][world.model.name]
    assert (now["canary"], now["canary_share"]) == (world.trained(CANARY), 0.25)
    assert now["model"] == world.trained(SERVED)


def test_what_it_answers_can_be_rebuilt_from_its_event() -> None:
    world = world_with(1.0)
    world.ask([visit(s) for s in SHOPPERS[:5]])
    (event,) = world.events
    loaded = from_files(world.files[event.release.model], event.release.model, TabularNetwork)
    for row in predictions_of(event):
        features = record.from_lists([list(row.features.values())], Inputs.of(world.model.inputs))
        assert scored(loaded, features, row.row, row.batch_shape) == row.output


def test_no_answer_fails_or_is_mixed_while_canaries_and_models_change_under_load() -> None:
    world = world_with(0.5)
    by_digest = {only(s).trained(s)[:8]: only(s) for s in (1, 2, 3)}
    alone = {
        digest: {s: one.ask([visit(s)]).json["predictions"] for s in SHOPPERS}
        for digest, one in by_digest.items()
    }
    stop, wrong = threading.Event(), list[Any]()

    def load() -> None:
        while not stop.is_set():
            for shopper in SHOPPERS[:10]:
                answer = world.ask([visit(shopper)])
                if (
                    answer.status_code != 200
                    or alone[model_of(answer.json)][shopper] != answer.json["predictions"]
                ):
                    wrong.append(answer.json)

    workers = [threading.Thread(target=load) for _ in range(3)]
    for worker in workers:
        worker.start()
    for i in range(12):
        world.canary(2 + i % 2, (i % 4) / 4)
        world.promote(1 + i % 3)
    stop.set()
    for worker in workers:
        worker.join(20)
    assert wrong == []


def test_a_request_whose_rows_a_canary_can_answer_in_part_is_answered_whole_by_what_serves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Found by halves, one row is refused, and the canary fails in one of the halves."""
    world = world_with(1.0)
    canary, predict, before = world.trained(CANARY), Scorer.predict, NOW - 7_200_000_000
    reader = next(iter(world.readers.values()))
    read = reader.read_many

    def kept(keys: Any, at_us: Any, epoch: Any = None) -> Any:
        if min(at_us) < NOW - 10**9:
            raise WindowNotKept("ask for a later moment")
        return read(keys, at_us, epoch)

    def breaks(self: Scorer, features: Any) -> Any:
        if self.digest == canary and len(features) == 1:
            raise ZeroDivisionError("not today")
        return predict(self, features)

    monkeypatch.setattr(reader, "read_many", kept)
    monkeypatch.setattr(Scorer, "predict", breaks)
    rows = [visit("s1"), visit("s2", visited_at=before), visit("s3"), visit("s4")]
    answer = world.ask(rows, on_error="row")
    assert answer.status_code == 207
    assert model_of(answer.json) == world.trained(SERVED)[:8]
    assert {event.release.model for event in world.events} == {world.trained(SERVED)}
