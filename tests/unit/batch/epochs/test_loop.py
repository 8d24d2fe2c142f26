"""The batch layer's loop: when an epoch gets a training set."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from preprocess_svc.batch.epochs.loop import Batch
from preprocess_svc.batch.epochs.plan import Land, Plan
from preprocess_svc.batch.epochs.seen import Seen
from preprocess_svc.batch.spark.away import is_away
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
from twinstream.errors import StorageUnavailableError
from twinstream.mesh.attempts import Attempts
from twinstream.mesh.quarantine import ATTEMPTS, Failures
from twinstream.mesh.settings import MeshSettings

NOW = 1_000_000_000
CUT = {0: Cut(offset=10, raw_high=99)}


class World:
    """Ports of which ingest seals at once, every epoch brings ten questions, and a training set has 100 rows."""

    def __init__(self, folder: Path) -> None:
        self.told: list[tuple[Event, int]] = []
        self.offsets: dict[type[Event], int] = {}
        self.built: list[int] = []
        self.alerts: list[str] = []
        self.breaks: dict[str, Exception] = {}
        self.failures = Failures(MeshSettings(pipeline="none", data=str(folder)), "batch")

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
            self.tell(
                EpochSealed(epoch=event.epoch, source="orders", partition=0, offset=10, raw_high=99)
            )

    def alert(self, reason: str) -> None:
        self.alerts.append(reason)

    def land(self, step: Land, seen: Seen) -> list[ViewPublished]:
        if "land" in self.breaks:
            raise self.breaks["land"]
        return [
            ViewPublished(
                view="by-buyer",
                source="orders",
                epoch=step.epoch,
                cut=CUT,
                files=[],
                definition_digest="d",
                as_of_us=7,
                complete_since={},
                cuts={"orders": CUT},
            )
        ]

    def questions_since(self, model: str, before: int, epoch: int) -> int:
        return 10 * (epoch - before)

    def train(self, model: str, manifest: ViewPublished) -> TrainingSetPublished | None:
        if "train" in self.breaks and manifest.epoch == 1:
            raise self.breaks["train"]
        self.built.append(manifest.epoch)
        return TrainingSetPublished(
            model=model,
            epoch=manifest.epoch,
            files=[],
            columns=[],
            digest=f"set-{manifest.epoch}",
            rows=100,
            first_at_us=0,
            last_at_us=0,
            statistics_uri="",
            definition_digest="d",
        )

    def settle_training(
        self, mine: TrainingSetPublished, seal: EpochSealed | None
    ) -> TrainingSetPublished:
        return mine

    def tabulate(self, published: TrainingSetPublished) -> None:
        if "tabulate" in self.breaks:
            raise self.breaks["tabulate"]

    def retire(self, step: Land) -> None: ...

    def observe(self, phase: str, seconds: float) -> None: ...

    def base_lost(self, view: str, reason: str) -> None: ...


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def batch_of(world: World, growth: float) -> Batch:
    plan = Plan(
        sources=("orders",),
        views=("by-buyer",),
        models=("returns",),
        digest="d",
        partitions=1,
        training_growth=growth,
    )
    return Batch(plan, world, world, Attempts(world.failures))


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
    batch.seen.take = lambda event, offset: (
        history.append((event, offset)),
        take(batch.seen, event, offset),
    )  # type: ignore[method-assign]
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


def test_a_training_set_that_cannot_be_built_is_given_up_with_an_alert_and_epochs_go_on(
    world: World,
) -> None:
    world.breaks["train"] = KeyError("surprise")
    batch = batch_of(world, 0.0)
    for _ in range(ATTEMPTS - 1):
        with pytest.raises(KeyError):
            epoch(batch, world)
    epoch(batch, world)
    assert len(world.alerts) == 1
    assert "surprise" in world.alerts[0]
    assert (world.built[0], batch.blocked) == (2, "")


def test_a_set_whose_table_cannot_be_made_is_published_with_an_alert(world: World) -> None:
    world.breaks["tabulate"] = ConnectionError("no metastore")
    batch = batch_of(world, 0.0)
    epoch(batch, world)
    assert [event.epoch for event in batch.seen.training] == [1]
    assert (len(world.alerts), batch.blocked) == (1, "")
    assert "no metastore" in world.alerts[0]


def test_an_epoch_that_cannot_land_blocks_and_says_so_and_lands_once_it_can(world: World) -> None:
    world.breaks["land"] = ValueError("broken pack")
    batch = batch_of(world, 0.0)
    for _ in range(ATTEMPTS - 1):
        with pytest.raises(ValueError, match="broken pack"):
            epoch(batch, world)
    epoch(batch, world)
    assert "broken pack" in batch.blocked
    assert world.alerts == []
    del world.breaks["land"]
    batch._due_s = 0.0
    epoch(batch, world)
    assert (batch.blocked, world.built) == ("", [1, 2])


def test_an_engine_that_is_away_costs_no_attempt_and_is_waited_for(world: World) -> None:
    world.breaks["land"] = StorageUnavailableError("S3 does not answer")
    batch = batch_of(world, 0.0)
    for _ in range(3 * ATTEMPTS):
        batch._due_s = 0.0
        epoch(batch, world)
        assert "S3 does not answer" in batch.blocked
    del world.breaks["land"]
    batch._due_s = 0.0
    epoch(batch, world)
    assert batch.blocked == ""


def test_our_own_bug_that_mentions_a_connection_is_not_taken_for_an_engine_that_is_away() -> None:
    assert is_away(StorageUnavailableError("x"))
    assert not is_away(ValueError("Connection refused"))


def test_work_behind_an_epoch_that_fails_stops_no_epoch(world: World) -> None:
    world.retire = lambda _: (_ for _ in ()).throw(KeyError("sweep"))  # type: ignore[method-assign]
    batch = batch_of(world, 0.0)
    epoch(batch, world)
    assert (batch.blocked, world.built, len(world.alerts)) == ("", [1], 1)


def test_what_another_process_published_meanwhile_is_not_published_again(world: World) -> None:
    """Both land the epoch; the other one is quicker, and this one reads it before it publishes."""
    land, publish_it, published = world.land, world.publish, list[Event]()

    def publish(event: Event, key: str) -> None:
        published.append(event)
        publish_it(event, key)

    def overtaken(step: Land, seen: Seen) -> list[ViewPublished]:
        manifests = land(step, seen)
        for manifest in manifests:
            world.tell(manifest)
        return manifests

    world.publish, world.land = publish, overtaken  # type: ignore[method-assign]
    batch = batch_of(world, 0.0)
    epoch(batch, world)
    assert not [event for event in published if isinstance(event, ViewPublished)]
    assert (batch.seen.newest, world.built) == (1, [1])


def test_the_training_set_that_counts_is_the_one_that_was_decided_on(world: World) -> None:
    def settled(mine: TrainingSetPublished, seal: EpochSealed | None) -> TrainingSetPublished:
        return msgspec.structs.replace(mine, statistics_uri="s3://warehouse/theirs")

    world.settle_training = settled  # type: ignore[method-assign]
    batch = batch_of(world, 0.0)
    epoch(batch, world)
    assert [event.statistics_uri for event in batch.seen.training] == ["s3://warehouse/theirs"]
