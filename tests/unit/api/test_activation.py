"""Whatever a promoted model is, what answered before goes on answering, and the reason is told."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from predict_svc.api.slots import Wanted
from schemas.events import ModelRolledBack
from tests.unit.api.fakes import World, visit
from twinstream.errors import NotRunningError, ObjectRefusedError, StorageUnavailableError
from twinstream.nn.scorer import Scorer


@pytest.mark.parametrize(
    "error",
    [
        ObjectRefusedError("'s3://A b/x': cannot name a bucket"),
        StorageUnavailableError("S3 does not answer"),
        RuntimeError("the network raises"),
        MemoryError("too large"),
        KeyError("x"),
    ],
)
def test_a_model_that_cannot_be_loaded_leaves_the_release_before(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    world = World()
    before = world.promote(1)
    load = world.activation._load

    def refuse(promoted: Wanted) -> Scorer:
        if promoted.model_digest != before:
            raise error
        return load(promoted)

    monkeypatch.setattr(world.activation, "_load", refuse)
    after = world.promote(2)
    answer = world.ask([visit()])
    assert answer.status_code == 200
    assert answer.json["release"].endswith(before[:8])
    assert str(error).strip("'")[:20] in world.serving.now.reasons[world.model.name]
    monkeypatch.setattr(world.activation, "_load", load)
    world.settle()
    assert world.ask([visit()]).json["release"].endswith(after[:8])


def test_after_a_roll_back_nothing_is_said_of_the_model_that_could_not_be_loaded() -> None:
    world = World()
    before = world.promote(1)
    world.corrupt = True
    broken = world.promote(2)
    assert broken[:12] in world.serving.now.reasons[world.model.name]
    back = ModelRolledBack(
        model=world.model.name, model_digest=broken, to_model_digest=before, reason="", by="ann"
    )
    world.lifecycle.events.append(back)
    world.settle()
    assert world.serving.now.reasons == {}
    assert world.ask([visit()]).json["release"].endswith(before[:8])


def test_kafka_away_does_not_end_the_thread_that_follows_models(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world, stop = World(), threading.Event()
    steps: list[int] = []

    def step(_pause_s: float = 0.0) -> None:
        steps.append(1)
        if len(steps) < 3:
            raise NotRunningError("Kafka does not answer")
        stop.set()

    waited: list[Any] = []
    monkeypatch.setattr(world.activation, "step", step)
    monkeypatch.setattr(stop, "wait", waited.append)
    world.activation.run(stop, 0.0)
    assert (len(steps), len(waited)) == (3, 2)
