"""The batch layer's loop: when an epoch gets a training set."""

from __future__ import annotations

import msgspec
import pytest

from preprocess_svc.batch.epochs import Land, Plan, Seen
from preprocess_svc.batch.service import Batch
from schemas.events import (
    Cut,
    EpochSealed,
    EpochSealRequested,
    Event,
    RetrainRequested,
    SealRequested,
    TrainingSetPublished,
    ViewPublished,
)

NOW = 1_000_000_000
CUT = {0: Cut(offset=10, raw_high=99)}


class World:
    """Ports of which ingest seals at once, every epoch brings ten questions, and a training set has 100 rows."""

    def __init__(self) -> None:
        self.told: list[tuple[Event, int]] = []
        self.offsets: dict[type[Event], int] = {}
        self.built: list[int] = []

    def now_us(self) -> int:
        return NOW

    def tell(self, event: Event) -> None:
        offset = self.offsets.get(type(event), -1) + 1
        self.offsets[type(event)] = offset
        self.told.append((event, offset))

    def poll(self, timeout_s: float) -> tuple[Event, int] | None:
        return self.told.pop(0) if self.told else None

    def at_end(self) -> bool:
        return not self.told

    def publish(self, event: Event, key: str) -> None:
        self.tell(event)
        if isinstance(event, EpochSealRequested):
            self.tell(EpochSealed(epoch=event.epoch, source="orders", partition=0, offset=10, raw_high=99))

    def land(self, step: Land, seen: Seen) -> list[ViewPublished]:
        return [ViewPublished(
            view="by-buyer", source="orders", epoch=step.epoch, cut=CUT, files=[], definition_digest="d", as_of_us=7, complete_since={},
            cuts={"orders": CUT})]  # fmt: skip

    def questions_since(self, model: str, before: int, epoch: int) -> int:
        return 10 * (epoch - before)

    def train(self, model: str, manifest: ViewPublished) -> TrainingSetPublished | None:
        self.built.append(manifest.epoch)
        return TrainingSetPublished(
            model=model, epoch=manifest.epoch, files=[], columns=[], digest=f"set-{manifest.epoch}", rows=100, first_at_us=0, last_at_us=0,
            statistics_uri="", definition_digest="d")

    def retire(self, step: Land) -> None: ...

    def observe(self, phase: str, seconds: float) -> None: ...


@pytest.fixture
def world() -> World:
    return World()


def batch_of(world: World, growth: float) -> Batch:
    plan = Plan(sources=("orders",), views=("by-buyer",), models=("returns",), digest="d", partitions=1, training_growth=growth)
    return Batch(plan, world, world)


def epoch(batch: Batch, world: World) -> None:
    """One is asked for, and all that follows is done."""
    world.tell(SealRequested())
    batch.learn(to_end=True)
    while batch.once():
        pass


def test_every_epoch_gets_a_training_set(world: World) -> None:
    batch = batch_of(world, 0.0)
    for _ in range(3):
        epoch(batch, world)
    assert world.built == [1, 2, 3]


def test_only_enough_new_questions_get_one(world: World) -> None:
    batch = batch_of(world, 0.3)
    for _ in range(8):
        epoch(batch, world)
    assert world.built == [1, 4, 7]


def test_a_restarted_batch_layer_does_the_same(world: World) -> None:
    history: list[tuple[Event, int]] = []
    take = Seen.take
    batch = batch_of(world, 0.3)
    batch.seen.take = lambda event, offset: (history.append((event, offset)), take(batch.seen, event, offset))  # type: ignore[method-assign]
    for _ in range(3):
        epoch(batch, world)
    again = batch_of(world, 0.3)
    for event, offset in history:
        again.seen.take(event, offset)
    epoch(again, world)
    assert world.built == [1, 4]


def test_a_wish_for_retraining_gets_one_at_the_next_epoch(world: World) -> None:
    batch = batch_of(world, 0.3)
    epoch(batch, world)
    world.tell(RetrainRequested(model="returns", reason="drift", requested_at_us=NOW + 1))
    epoch(batch, world)
    assert world.built == [1, 2]
    assert msgspec.structs.asdict(batch.seen.training[-1])["digest"] == "set-2"


def test_a_wish_for_retraining_from_a_clock_that_goes_ahead_ends_one_epoch(world: World) -> None:
    batch = batch_of(world, 0.3)
    epoch(batch, world)
    world.tell(RetrainRequested(model="returns", reason="drift", requested_at_us=NOW + 60_000_000))
    batch.learn(to_end=True)
    done = 0
    while batch.once():
        done += 1
        assert done < 10
    assert world.built == [1, 2]
