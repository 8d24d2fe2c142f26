"""A candidate is asked what was answered, changes no answer, and costs nobody an event."""

from __future__ import annotations

import threading
from typing import Any

import msgspec
import pytest

from predict_svc.api import shadowing
from predict_svc.api.shadowing import shadow_of
from schemas.events import PredictionServed
from tests.unit.api.fakes import World, by_lane_at_once, visit
from twinstream.audit.rebuild import scored
from twinstream.errors import MessageRefusedError
from twinstream.features import record
from twinstream.features.inputs import Inputs
from twinstream.nn import TabularNetwork
from twinstream.nn.files import from_files
from twinstream.nn.scorer import Scorer
from twinstream.protocol.predictions import find_row

ROWS = [visit(), visit("s22", country=None), visit("s333", mobile=False)]


def world_with(candidate: int | None, *, share: float = 1.0) -> World:
    made = World(share=share)
    made.promote(1)
    if candidate is not None:
        made.shadow(candidate)
    return made


def finish(world: World) -> None:
    """All that waits is asked."""
    while not world.shadowing._waiting.empty():
        world.shadowing.step(0)


def counted(world: World) -> set[str]:
    return {name for name, _ in world.meter.counted if "shadow" in name}


def test_the_answer_is_there_before_the_candidate_is_asked_and_is_the_served_one() -> None:
    plain, world = world_with(None), world_with(2)
    wanted, found = plain.ask(ROWS).json, world.ask(ROWS).json
    assert found["predictions"] == wanted["predictions"]
    assert found["release"] == wanted["release"]
    assert world.events == []
    assert world.kept == [found["id"]]
    finish(world)
    assert world.kept == []
    (event,) = world.events
    assert event.shadow is not None
    assert event.shadow.outputs != wanted["predictions"]
    assert [row.output for row in event.rows] == wanted["predictions"]


def test_the_candidate_says_what_it_would_answer_if_it_served() -> None:
    world, as_served = world_with(2), World()
    as_served.promote(2)
    world.ask(ROWS)
    finish(world)
    (event,) = world.events
    assert event.shadow is not None
    assert event.shadow.outputs == as_served.ask(ROWS).json["predictions"]


def test_what_it_says_can_be_computed_again_from_the_event_to_the_byte() -> None:
    world = world_with(2)
    bodies = [{"rows": [row]} for row in ROWS] * 3
    answers = by_lane_at_once(world.api, world.model.name, list(map(msgspec.json.encode, bodies)))
    finish(world)
    (event,) = world.events
    digest = event.shadow.model_digest if event.shadow else ""
    loaded = from_files(world.files[digest], digest, TabularNetwork)
    for answer in answers:
        prediction = find_row(event, f"{msgspec.json.decode(answer.body)['id']}-0")
        assert prediction is not None
        assert prediction.shadow is not None
        values = list(prediction.features.values())
        features = record.from_lists([values], Inputs.of(world.model.inputs))
        told = prediction.shadow
        assert scored(loaded, features, told.place, told.batch_shape) == told.output


@pytest.mark.parametrize("end", ["stopped", "promoted"])
def test_nothing_waits_when_no_candidate_is_asked(end: str) -> None:
    world = world_with(2)
    _ = world.shadow(None) if end == "stopped" else world.promote(2)
    world.ask(ROWS)
    assert [event.shadow for event in world.events] == [None]
    assert counted(world) == set()


def test_the_candidate_is_another_one_as_soon_as_that_is_chosen() -> None:
    world = world_with(2)
    digest = world.shadow(3)
    world.ask(ROWS)
    finish(world)
    assert world.events[0].shadow is not None
    assert world.events[0].shadow.model_digest == digest


def test_a_candidate_that_cannot_be_loaded_is_not_asked_and_told() -> None:
    world = world_with(2)
    world.corrupt = True
    world.shadow(3)
    assert world.ask(ROWS).status_code == 200
    assert world.events[0].shadow is None
    now = world.client.get("/v1/releases").json["models"][world.model.name]
    assert (now["shadow"], "model's files have digest" in now["shadow_reason"]) == (None, True)
    assert now["reason"] == ""
    world.corrupt = False
    world.settle()
    assert world.client.get("/v1/releases").json["models"][world.model.name]["shadow"]


def breaks(_self: object, _features: object) -> Any:
    raise ZeroDivisionError("not today")


def infinite(_self: object, features: Any) -> Any:
    return [float("inf")] * len(features), [8] * len(features)


@pytest.mark.parametrize("predict", [breaks, infinite])
def test_a_candidate_that_fails_is_counted_and_the_event_goes_on(
    monkeypatch: pytest.MonkeyPatch, predict: Any
) -> None:
    world = world_with(2)
    assert world.ask(ROWS).status_code == 200
    monkeypatch.setattr(Scorer, "predict", predict)
    finish(world)
    assert [event.shadow for event in world.events] == [None]
    assert counted(world) == {"predict_shadow_failed_total"}


def test_a_candidate_with_other_inputs_is_refused() -> None:
    world = world_with(2)
    world.ask(ROWS)
    finish(world)
    event = msgspec.structs.replace(world.events[0], inputs=world.events[0].inputs[::-1])
    with pytest.raises(ValueError, match="it takes"):
        shadow_of(event, world.serving.now.shadows[world.model.name])


def test_under_load_the_candidate_is_left_out_first() -> None:
    """Whatever comes while it is slow is answered and remembered, without it."""
    world = world_with(2)
    for _ in range(shadowing.MOST_WAITING + 5):
        assert world.ask(ROWS[:1]).status_code == 200
    assert [event.shadow for event in world.events] == [None] * 5
    finish(world)
    assert len(world.events) == shadowing.MOST_WAITING + 5
    assert all(event.shadow for event in world.events[5:])
    assert "predict_shadow_shed_total" in counted(world)


def answered(world: World) -> PredictionServed:
    """An event that was not asked beside."""
    world.ask(ROWS[:1])
    finish(world)
    return msgspec.structs.replace(world.events.pop(), shadow=None)


def test_it_takes_no_more_than_its_share_of_time(monkeypatch: pytest.MonkeyPatch) -> None:
    world, at = world_with(2), [100.0]
    event, own = answered(world), world.asking(0.25, lambda: at[0])
    predict = Scorer.predict

    def slow(self: Scorer, features: Any) -> Any:
        at[0] += 1.0
        return predict(self, features)

    monkeypatch.setattr(Scorer, "predict", slow)
    seen = []
    for _ in range(40):
        own.publish(event)
        own.step(0)
        seen.append(world.events[-1].shadow is not None)
        at[0] += 0.5
    assert 0.15 < sum(seen) / (at[0] - 100.0) <= 0.26


def test_what_has_waited_too_long_goes_on_without_it() -> None:
    world, at = world_with(2), [100.0]
    event, own = answered(world), world.asking(1.0, lambda: at[0])
    own.publish(event)
    at[0] += shadowing.MOST_WAIT_S + 0.1
    own.step(0)
    assert [one.shadow for one in world.events] == [None]


def test_no_share_asks_no_candidate() -> None:
    world = world_with(2, share=0.0)
    world.ask(ROWS)
    assert [event.shadow for event in world.events] == [None]


def test_an_event_that_kafka_does_not_take_is_refused_before_the_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = world_with(2)

    def refuse(_event: object) -> None:
        raise MessageRefusedError("Kafka never takes a message of 9000000 bytes")

    monkeypatch.setattr(world.shadowing, "_send", refuse)
    monkeypatch.setattr(shadowing, "MOST_BYTES", 10)
    assert world.ask(ROWS).status_code == 413


def test_what_waits_is_sent_at_the_end() -> None:
    world = world_with(2)
    for _ in range(3):
        world.ask(ROWS[:1])
    world.shadowing.close()
    assert [event.shadow for event in world.events] == [None] * 3
    assert world.kept == []
    world.shadowing.close()


def test_who_waits_for_kafka_asks_on_the_spot() -> None:
    """A batch of questions is committed when its events are sent."""
    world, sent = world_with(2), list[PredictionServed]()
    event = answered(world)
    world.shadowing.beside(sent.append)(event)
    assert [one.shadow is not None for one in sent] == [True]


def test_no_event_is_lost_or_mixed_while_candidates_change_under_load() -> None:
    world = world_with(2)
    stop, asked = threading.Event(), []
    worker = threading.Thread(target=world.shadowing.run, args=(stop,))
    worker.start()
    served = {name: world.trained(name) for name in (2, 3)}
    for i in range(60):
        if i % 10 == 0:
            world.shadow(2 + i // 10 % 2)
        answer = world.ask(ROWS[:1])
        asked.append(answer.json["id"])
    stop.set()
    worker.join(20)
    world.shadowing.close()
    assert sorted(event.id for event in world.events) == sorted(asked)
    told = {
        (event.shadow.model_digest, tuple(event.shadow.outputs))
        for event in world.events
        if event.shadow
    }
    assert {digest for digest, _ in told} <= set(served.values())
    assert len(told) == len({digest for digest, _ in told})
