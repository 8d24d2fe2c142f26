"""Stores that cannot go on without a base: what they leave, and how they go on once it landed."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace

import pytest

from predict_svc.view import layout as lay
from predict_svc.view.errors import EpochsFullError
from predict_svc.view.layout import Base, Layout
from predict_svc.view.worker import Ports, ViewWorker
from schemas.partials import decode_header
from schemas.topics import partials_folded
from tests.unit.view.engines import ENGINES
from tests.unit.view.world import KNOBS, PARTITIONS, World, pipeline
from twinstream.mesh.carrier import TopicPartition as TP

EPOCHS = lay.SLOTS + 3
PLACE = TP(partials_folded("spending"), 0)


@pytest.fixture(params=ENGINES)
def world(tmp_path: Path, request: pytest.FixtureRequest) -> World:
    """A log of more epochs than a store has tables for, folded."""
    world = World(tmp_path, engine=request.param)
    for epoch in range(1, EPOCHS + 1):
        for partition in range(PARTITIONS):
            world.log.pack(partition, 3)
            world.log.barrier(partition, epoch)
    for partition in range(PARTITIONS):
        world.log.pack(partition, 4)
        world.fold(partition)
    return world


def test_a_store_takes_nothing_of_an_epoch_for_which_it_has_no_table(world: World) -> None:
    with pytest.raises(EpochsFullError, match="newer base"):
        world.apply(0)
    assert world.stores[0].read_state().start == 0
    assert world.stores[0].progress() == {}


def test_a_base_far_ahead_replaces_the_one_before_and_the_store_goes_on(world: World) -> None:
    world.apply(
        0,
        next(i for i, value in enumerate(world.topic[0]) if decode_header(value).epoch > lay.SLOTS),
    )
    assert [base.epoch for base in world.stores[0].layout().bases] == [0]
    world.publish_all()
    world.land(0)
    world.land(1)
    assert [base.epoch for base in world.stores[0].layout().bases] == [EPOCHS]
    for partition in range(PARTITIONS):
        world.apply(partition)
    world.check()


def test_a_base_stays_while_there_is_a_table_for_the_next_epoch() -> None:
    layout = Layout(bases=(Base(epoch=4),), epochs=(5, 6))
    near, far = Base(epoch=5 + lay.SLOTS - 2), Base(epoch=5 + lay.SLOTS - 1)
    assert [b.epoch for b in lay.with_base(layout, near, alone=False).bases] == [4, near.epoch]
    assert [b.epoch for b in lay.with_base(layout, far, alone=False).bases] == [far.epoch]


class Engines:
    """Stands for Faust, Kafka and S3 of a worker; `newest`: the last published epoch,
    whose base the test brings.
    """

    def __init__(self, newest: int) -> None:
        self._newest, self.sought = newest, []
        self.consumer = self

    def count(self, *_: object, **__: object) -> None: ...
    def observe(self, *_: object, **__: object) -> None: ...
    def hold(self, held: object) -> None: ...
    def publish(self, event: object, *, wait: bool) -> None: ...

    def newest(self, view: str) -> int:
        return self._newest

    def wait_landed_or_tried(self, places: object, timeout_s: float) -> bool:
        return True

    async def earliest_offsets(self, *places: TP) -> dict[TP, int]:
        return dict.fromkeys(places, 0)

    async def seek(self, offsets: Mapping[TP, int]) -> None:
        self.sought.append(dict(offsets))


async def read(worker: ViewWorker, world: World, start: int) -> None:
    """Hand over all partials from an offset on."""
    for offset in range(start, len(world.topic[0])):
        await worker.handle(
            SimpleNamespace(
                topic=PLACE.topic, partition=0, offset=offset, value=world.topic[0][offset]
            )
        )
    worker._flush()


async def until(reached: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not reached():  # noqa: ASYNC110  what is waited for sets no event
            await asyncio.sleep(0.01)


def worker_of(world: World, engines: Engines) -> ViewWorker:
    ports = Ports(world.open_store, engines, engines, lambda _: {})  # type: ignore[arg-type]
    worker = ViewWorker(KNOBS, pipeline, ports)
    worker.carrier = worker.publications = engines  # type: ignore[assignment]
    return worker


async def refused_then_right(world: World) -> None:
    world.publish_all()
    world.wipe(0)
    world.stores[0].close()
    engines = Engines(EPOCHS)
    worker = worker_of(world, engines)
    assert await worker.start_offsets({PLACE}) == {}
    await read(worker, world, 0)
    assert worker._stores[PLACE].progress() == {}
    assert worker.detail()["waiting"] == 1
    worker.land(("spending", 0), world.fetch(0, worker._stores[PLACE].bases))
    await until(lambda: engines.sought)
    assert engines.sought == [{PLACE: 0}]
    await read(worker, world, 0)
    assert worker.next_offsets() == {PLACE: len(world.topic[0])}
    assert worker.detail()["waiting"] == 0


def test_an_empty_store_leaves_partials_alone_until_its_base_is_right(world: World) -> None:
    asyncio.run(refused_then_right(world))


async def full_then_based(world: World) -> None:
    world.stores[0].close()
    engines = Engines(0)
    worker = worker_of(world, engines)
    assert await worker.start_offsets({PLACE}) == {PLACE: 0}
    await read(worker, world, 0)
    assert worker.next_offsets() == {}
    assert not worker.ready
    world.publish_all()
    worker.land(("spending", 0), world.fetch(0, worker._stores[PLACE].bases))
    await until(lambda: engines.sought)
    await read(worker, world, 0)
    assert worker.next_offsets() == {PLACE: len(world.topic[0])}


def test_a_worker_with_too_many_epochs_goes_on_once_a_base_landed(world: World) -> None:
    asyncio.run(full_then_based(world))
