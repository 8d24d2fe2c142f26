"""A store knows which chunks its tables have, so that a read looks for no others;
one that does not know looks for all.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from predict_svc.view import layout as lay
from predict_svc.view.ports import SLOTS
from predict_svc.view.store import Store
from tests.unit.view.engines import ENGINES
from tests.unit.view.world import NOW_US, PARTITIONS, World
from twinstream.algebra import chunks

LATER_US = NOW_US + 7_200_000_000


@pytest.fixture(params=ENGINES)
def world(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    world = World(tmp_path, engine=request.param)
    yield world
    world.close()


def fill(world: World) -> None:
    for epoch in (1, 2):
        for partition in 2 * [*range(PARTITIONS)]:
            world.log.pack(partition, 6)
            world.log.pack(partition, 6)
            world.fold(partition)
            for target in range(PARTITIONS):
                world.apply(target)
        for partition in range(PARTITIONS):
            world.log.barrier(partition, epoch)
            world.fold(partition)


def stored(world: World, partition: int) -> dict[int, set[bytes]]:
    """What an index of every table has to say."""
    states, found = world.engine.reads(world.folder(partition)), {}
    with states.begin() as moment:
        for epoch in world.store(partition).layout().epochs:
            entries = states.scan(moment, states.tables[epoch % SLOTS])
            found[epoch] = {key[-chunks.SUFFIX :] for key, _ in entries}
    return found


def of(world: World) -> list[Store]:
    stores = [store for store in world.stores if store is not None]
    assert len(stores) == PARTITIONS
    return stores


def kind(world: World) -> str:
    return next(name for name, engine in ENGINES.items() if isinstance(world.engine, engine))


def forget(store: Store) -> None:
    """As in a store that was written before there was an index."""
    with store._states.writing() as change:
        change.put(lay.LAYOUT, lay.pack_layout(msgspec.structs.replace(store.layout(), chunks={})))


def answers(world: World) -> list[bytes]:
    keys = sorted(world.reader.iterate_keys())
    at = np.full(len(keys), NOW_US)
    spread = at + np.arange(len(keys)) % 2 * (LATER_US - NOW_US)
    return [world.reader.read_many(keys, moments)[0].tobytes() for moments in (at, spread)]


def test_the_index_is_what_the_tables_hold(world: World) -> None:
    fill(world)
    for partition, store in enumerate(of(world)):
        assert len(store.layout().epochs) == 2
        assert store.layout().chunks == stored(world, partition)


def test_a_base_takes_the_index_of_the_epochs_that_it_contains_with_it(world: World) -> None:
    fill(world)
    for _ in range(2):
        assert world.publish() is not None
        world.land(0)
    store = of(world)[0]
    assert store.layout().epochs == (2,)
    assert store.layout().chunks == stored(world, 0)


def test_a_store_without_an_index_answers_alike_and_keeps_none_for_its_tables(world: World) -> None:
    fill(world)
    before = answers(world)
    for store in of(world):
        forget(store)
    assert answers(world) == before
    for partition in range(PARTITIONS):
        world.log.pack(partition, 10)
        world.fold(partition)
    for partition, store in enumerate(of(world)):
        world.apply(partition)
        assert set(store.layout().chunks) == {3}
        assert store.layout().chunks[3] == stored(world, partition)[3]
    world.check()


def test_a_table_with_too_many_chunks_is_read_without_an_index(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(world)
    before = answers(world)
    other = World(Path(world.settings.data) / "other", engine=kind(world))
    monkeypatch.setattr(lay, "MOST_CHUNKS", 2)
    fill(other)
    assert all(store.layout().chunks == {} for store in of(other))
    assert answers(other) == before
    other.check()
    other.close()
