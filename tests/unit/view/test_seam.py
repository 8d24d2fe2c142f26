"""The exact seam, without processes: whatever is lost, repeated or restarted, the view equals the
fold at its position.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.partials import decode_header
from tests.unit.view.engines import ENGINES
from tests.unit.view.world import NOW_US, PARTITIONS, World


@pytest.fixture(params=ENGINES)
def world(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    world = World(tmp_path, engine=request.param)
    yield world
    world.close()


def test_view_equals_fold_after_packs_of_both_partitions(world: World) -> None:
    for partition in range(PARTITIONS):
        world.log.pack(partition, 20)
        world.fold(partition)
    for partition in range(PARTITIONS):
        world.apply(partition)
    assert sum(len(world.reader.snapshot(p).states) for p in range(PARTITIONS)) > 2
    world.check()


def test_a_message_moves_the_position_of_every_partition_also_where_it_has_no_key_or_no_row(
    world: World,
) -> None:
    world.log.append(
        0,
        [
            (
                0,
                {
                    "order_id": "o",
                    "visit_id": None,
                    "shopper": "s",
                    "country": "NO",
                    "ordered_at": NOW_US,
                    "amount": 1,
                    "items": 1,
                },
            )
        ],
        0,
        0,
    )
    world.log.append(0, [], 1, 4)
    world.fold(0)
    for partition in range(PARTITIONS):
        world.apply(partition)
        position = world.reader.positions()[partition]
        assert (position.log[0], position.raw[0]) == (1, 4)
    assert sorted(len(world.reader.snapshot(p).states) for p in range(PARTITIONS)) == [0, 1]


def test_rows_of_a_second_writer_do_not_count(world: World) -> None:
    world.log.pack(0, 10)
    world.log.pack(0, 5, again=7)
    world.log.pack(0, 0, again=4)
    world.fold(0)
    for partition in range(PARTITIONS):
        world.apply(partition)
    world.check()


def test_base_landing_under_way_changes_no_answer(world: World) -> None:
    for epoch in (1, 2, 3):
        for partition in range(PARTITIONS):
            world.log.pack(partition, 6)
            world.log.barrier(partition, epoch)
            world.log.pack(partition, 4)
            world.fold(partition)
        world.apply(0, 3)
        assert world.publish() is not None
        before = world.reader.positions()[1]
        world.land(1)
        assert all(
            world.reader.positions()[1].log[p] >= before.log.get(p, -1) for p in range(PARTITIONS)
        )
        world.check()
        world.land(0)
        world.apply(1)
        world.check()
    world.apply(0)
    world.check()
    assert world.reader.bases() == {2, 3}


def test_a_reader_that_was_closed_opens_the_base_again(world: World) -> None:
    """In the process of its writer as well, whose tables stay the same."""
    for partition in range(PARTITIONS):
        world.log.pack(partition, 5)
        world.log.barrier(partition, 1)
        world.fold(partition)
    for partition in range(PARTITIONS):
        world.apply(partition)
    assert world.publish() is not None
    for partition in range(PARTITIONS):
        world.land(partition)
    before = [world.reader.snapshot(partition).states.to_bytes() for partition in range(PARTITIONS)]
    world.reader.close()
    after = [world.reader.snapshot(partition).states.to_bytes() for partition in range(PARTITIONS)]
    assert after == before


def test_lost_partial_is_refused_until_speed_resumes(world: World) -> None:
    world.log.pack(0, 5)
    world.fold(0, lose=(1,))
    world.log.pack(0, 5)
    world.fold(0)
    world.apply(0)
    world.apply(1)
    assert world.reader.positions()[1].log.get(0, -1) == -1
    world.check()
    world.restart_speed(0)
    world.fold(0)
    world.apply(0)
    world.apply(1)
    assert world.reader.positions()[1].log[0] == 1
    world.check()


def test_lost_disk_is_rebuilt_from_base_and_partials(world: World) -> None:
    for partition in range(PARTITIONS):
        world.log.pack(partition, 8)
        world.log.barrier(partition, 1)
        world.log.pack(partition, 8)
        world.fold(partition)
    world.publish()
    world.topic = [
        [v for v in values if decode_header(v).origin_offset > 0] for values in world.topic
    ]  # past their retention
    world.wipe(0)
    world.apply(0)
    assert world.reader.positions()[0].log in ({}, {0: -1, 1: -1})
    world.land(0)
    world.apply(0)
    assert world.reader.positions()[0].log == {0: 2, 1: 2}
    world.check_states(
        0,
        world.reader.positions()[0],
        dict(zip((s := world.reader.snapshot(0).states).keys, s.blobs(), strict=True)),
    )


def test_base_that_closes_a_gap_replaces_those_that_lack_it(world: World) -> None:
    world.log.pack(0, 8)
    world.fold(0)
    world.apply(0)
    world.log.pack(0, 8)
    for partition in range(PARTITIONS):
        world.log.barrier(partition, 1)
    world.log.pack(0, 8)
    world.fold(0)
    world.topic[0] = [v for v in world.topic[0] if decode_header(v).origin_offset != 1]
    world.apply(0)
    assert world.reader.positions()[0].log[0] == 0
    world.publish()
    world.land(0)
    world.apply(0)
    assert world.reader.positions()[0].log[0] == 3
    assert [base.epoch for base in world.stores[0].layout().bases] == [1]
    world.check()


partition = st.integers(0, PARTITIONS - 1)
step = st.one_of(
    st.tuples(st.just("pack"), partition, st.integers(0, 6), st.integers(0, 3)),
    st.tuples(st.just("barrier"), partition, st.integers(0, 1)),
    st.tuples(st.just("fold"), partition),
    st.tuples(st.just("lose"), partition, partition),
    st.tuples(st.just("restart_speed"), partition),
    st.tuples(st.just("apply"), partition, st.integers(1, 6), st.integers(0, 4)),
    st.tuples(st.just("open"), partition),
    st.tuples(st.just("wipe"), partition),
    st.tuples(st.just("publish")),
    st.tuples(st.just("land"), partition),
)


@pytest.mark.parametrize("engine", ENGINES)
@given(
    steps=st.lists(step, max_size=40),
    view=st.sampled_from(["spending", "by-country"]),
    seed=st.integers(0, 1000),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_seam_gives_the_fold(engine: str, steps: list[tuple], view: str, seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder), view, seed, engine)
        epochs = [1] * PARTITIONS
        try:
            for name, *arguments in steps:
                run(world, epochs, name, arguments)
            world.check()
            settle(world)
        finally:
            world.close()


def run(world: World, epochs: list[int], name: str, arguments: list[int]) -> None:
    if name == "pack":
        world.log.pack(*arguments)
    elif name == "barrier":  # the second argument repeats the barrier before
        world.log.barrier(arguments[0], max(1, epochs[arguments[0]] - arguments[1]))
        epochs[arguments[0]] += 1 - arguments[1] if epochs[arguments[0]] > 1 else 1
    elif name == "lose":
        world.fold(arguments[0], lose=(arguments[1],))
    elif name == "publish":
        world.publish()
    else:
        getattr(world, name)(*arguments)
        world.check()


def settle(world: World) -> None:
    """Once nothing fails any more, the view reaches the end of the log."""
    for partition in range(PARTITIONS):
        world.restart_speed(partition)
        world.fold(partition)
    for partition in range(PARTITIONS):
        world.open(partition)
        world.land(partition)
        world.apply(partition)
        log = world.reader.positions()[partition].log
        assert [log.get(p, -1) for p in range(PARTITIONS)] == [
            len(messages) - 1 for messages in world.log.messages
        ]
    world.check()
