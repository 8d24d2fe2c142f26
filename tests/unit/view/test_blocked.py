"""What cannot be applied or folded blocks its partition alone, is named, and goes on by itself once
it can.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from predict_svc.view.errors import StoreFullError
from predict_svc.view.step import Applied
from predict_svc.view.store import Store
from preprocess_svc.speed.chain import BEGINNING
from preprocess_svc.speed.resume import LogPartition
from preprocess_svc.speed.settings import SpeedSettings
from preprocess_svc.speed.worker import SpeedWorker
from schemas.packs import HEADER_BYTES, MAGIC
from schemas.partials import PartialHeader, decode_header, encode_header
from schemas.topics import records_accepted
from tests.unit.view.engines import ENGINES
from tests.unit.view.test_base_awaited import PLACE, Engines, read, until, worker_of
from tests.unit.view.world import World, pipeline
from twinstream.mesh import blocked
from twinstream.mesh.carrier import TopicPartition as TP
from twinstream.mesh.settings import MeshSettings


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocked, "FIRST_PAUSE_S", 0.01)


@pytest.fixture(params=ENGINES)
def world(tmp_path: Path, request: pytest.FixtureRequest) -> World:
    made = World(tmp_path, engine=request.param)
    for _ in range(4):
        for partition in range(2):
            made.log.pack(partition, 5)
            made.fold(partition)
    return made


async def full_then_free(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.stores[0].close()
    engines, full = Engines(0), [True]
    worker = worker_of(world, engines)
    await worker.start_offsets({PLACE})
    real = Store.apply

    def apply(self: Store, partials: Any) -> Applied:
        if full[0]:
            raise StoreFullError("0 MiB are left on the disk")
        return real(self, partials)

    monkeypatch.setattr(Store, "apply", apply)
    await read(worker, world, 0)
    assert not worker.ready
    detail: Any = worker.detail()["blocked"]
    assert (detail["partition"], detail["offset"]) == (0, 0)
    assert "0 MiB" in detail["reason"]
    assert worker.next_offsets() == {}
    full[0] = False
    await until(lambda: engines.sought)
    await read(worker, world, 0)
    assert "blocked" not in worker.detail()
    assert worker.next_offsets() == {PLACE: len(world.topic[0])}


def test_a_full_disk_blocks_a_view_until_there_is_space(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asyncio.run(full_then_free(world, monkeypatch))


def broken(value: bytes) -> bytes:
    """A partial whose header is right, and whose body is none."""
    header = decode_header(value)
    return encode_header(msgspec.structs.replace(header, rows=9, keys=9)) + b"\xff" * 33


async def broken_partial(world: World, *, true_one_follows: bool) -> None:
    world.stores[0].close()
    worker = worker_of(world, Engines(0))
    await worker.start_offsets({PLACE})
    topic = list(world.topic[0])
    at = 2
    spoilt = [*topic[:at], broken(topic[at]), *topic[at + (not true_one_follows) :]]
    for offset, value in enumerate(spoilt):
        await worker.handle(
            SimpleNamespace(topic=PLACE.topic, partition=0, offset=offset, value=value)
        )
    worker._flush()
    detail: Any = worker.detail()
    assert ("blocked" in detail) == (not true_one_follows)
    assert bool(detail["gaps"]) == (not true_one_follows)
    assert worker.ready == true_one_follows
    reached = max(p.offset for p in worker._stores[PLACE].progress().values())
    assert (reached == max(decode_header(v).origin_offset for v in topic)) or not true_one_follows


@pytest.mark.parametrize("true_one_follows", [True, False])
def test_a_partial_that_is_none_is_passed_over_and_the_chain_tells_what_is_missing(
    world: World, true_one_follows: bool
) -> None:
    asyncio.run(broken_partial(world, true_one_follows=true_one_follows))


class Carrier:
    """Faust and Kafka of a speed worker."""

    unconfirmed = 0

    def __init__(self) -> None:
        self.sent: list[tuple[str, int, bytes]] = []
        self.sought: list[dict[TP, int]] = []

    async def send(self, topic: str, partition: int, value: bytes) -> Awaitable[None]:
        self.sent.append((topic, partition, value))
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    async def seek(self, offsets: dict[TP, int]) -> None:
        self.sought.append(dict(offsets))

    def count(self, *_: object, **__: object) -> None: ...
    def observe(self, *_: object, **__: object) -> None: ...

    def links(self, wanted: list[LogPartition]) -> dict[LogPartition, Any]:
        return dict.fromkeys(wanted, BEGINNING)


ORDERS = records_accepted("orders")


async def broken_pack(world: World, tmp_path: Path) -> None:
    carrier: Any = Carrier()
    worker = SpeedWorker(
        MeshSettings(pipeline="none", data=str(tmp_path), partitions=2),
        SpeedSettings(),
        pipeline,
        carrier,
        metrics=carrier,
        refused=lambda _message, _reason: None,
    )
    worker.carrier = carrier
    await worker.start_offsets({TP(ORDERS, 0), TP(ORDERS, 1)})
    good = [pack.value for pack in world.log.messages[0]]
    torn = good[1][: HEADER_BYTES + 40]
    assert torn[:8] == MAGIC.to_bytes(8, "little")

    async def take(partition: int, offset: int, value: bytes) -> None:
        message = SimpleNamespace(topic=ORDERS, partition=partition, offset=offset, value=value)
        await worker.handle(message)

    for offset, value in enumerate([good[0], torn, good[2]]):
        await take(0, offset, value)
    await take(1, 0, world.log.messages[1][0].value)
    assert worker.next_offsets() == {TP(ORDERS, 1): 1}
    detail: Any = worker.blocks.detail()["blocked"]
    assert (detail["topic"], detail["partition"], detail["offset"]) == (ORDERS, 0, 1)
    await until(lambda: carrier.sought)
    assert carrier.sought[0] == {TP(ORDERS, 0): 1}
    for offset in (1, 2):
        await take(0, offset, good[offset])
    assert not worker.blocks
    assert worker.next_offsets() == {TP(ORDERS, 0): 3, TP(ORDERS, 1): 1}
    links = [decode_header(v) for t, p, v in carrier.sent if p == 0]
    assert {(h.origin_partition, h.origin_offset, h.previous) for h in links} == {
        (0, 0, -1),
        (0, 1, 0),
        (0, 2, 1),
        (1, 0, -1),
    }


def test_a_pack_that_cannot_be_folded_blocks_its_partition_alone(
    world: World, tmp_path: Path
) -> None:
    asyncio.run(broken_pack(world, tmp_path))


def test_a_header_of_a_partial_is_as_long_as_that_of_a_pack() -> None:
    header = PartialHeader(origin_partition=0, origin_offset=0, previous=-1, epoch=1, raw_high=0)
    assert len(encode_header(header)) == HEADER_BYTES
