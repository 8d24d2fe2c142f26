"""A store that is built anew while its partials have expired: not ready, told as a break,
and whole once the partial came.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

from examples.shop.pipeline import pipeline
from predict_svc.view.opening import opening
from predict_svc.view.settings import ViewSettings
from predict_svc.view.worker import Ports, ViewWorker
from schemas.events import GapFound
from schemas.partials import PartialHeader, encode_header
from schemas.topics import partials_folded
from twinstream.mesh.carrier import TopicPartition as TP
from twinstream.mesh.settings import MeshSettings

PLACE = TP(partials_folded("spending"), 0)
EXPIRED = 5


class Silent:
    """Metrics, publications, a publisher that remembers, and a topic whose first messages are
    gone.
    """

    def __init__(self) -> None:
        self.told: list[GapFound] = []
        self.consumer = self

    def count(self, *_: object, **__: object) -> None: ...
    def observe(self, *_: object, **__: object) -> None: ...
    def hold(self, held: object) -> None: ...

    def newest(self, view: str) -> int:
        return 0

    def wait_landed_or_tried(self, places: object, timeout_s: float) -> bool:
        return True

    def publish(self, event: GapFound, *, wait: bool) -> None:
        self.told.append(event)

    async def earliest_offsets(self, *places: TP) -> dict[TP, int]:
        return dict.fromkeys(places, EXPIRED)

    def highwater(self, place: TP) -> int:
        return EXPIRED


async def until(reached: Callable[[], object], bound_s: float = 20.0) -> None:
    async with asyncio.timeout(bound_s):
        while not reached():  # noqa: ASYNC110  what is waited for sets no event
            await asyncio.sleep(0.01)


async def rebuilt(folder: Path) -> None:
    world = Silent()
    knobs = ViewSettings(map_gib=1, spare_bytes=0, gap_report_s=0.0)
    open_store = opening(MeshSettings(pipeline="none", data=str(folder)), knobs)
    ports = Ports(open_store, world, world, lambda _: {0: 3, 1: -1})  # type: ignore[arg-type]
    worker = ViewWorker(knobs, pipeline, ports)
    worker.carrier = worker.publications = world  # type: ignore[assignment]
    assert await worker.start_offsets({PLACE}) == {PLACE: EXPIRED}
    telling = asyncio.ensure_future(worker.keep_telling())
    await until(lambda: world.told)
    assert not worker.ready
    assert (
        world.told[0].origin_partition,
        world.told[0].expected_after,
        world.told[0].found_previous,
    ) == (0, -1, 3)
    header = PartialHeader(origin_partition=0, origin_offset=3, previous=-1, epoch=1, raw_high=3)
    await worker.handle(
        SimpleNamespace(topic=PLACE.topic, partition=0, offset=EXPIRED, value=encode_header(header))
    )
    flushing = asyncio.ensure_future(worker.keep_flushing())
    await until(lambda: worker.ready)
    assert worker.detail()["gaps"] == 0
    for task in (telling, flushing):
        task.cancel()


def test_a_store_whose_partials_expired_is_not_ready_until_they_came_again(tmp_path: Path) -> None:
    asyncio.run(rebuilt(tmp_path))
