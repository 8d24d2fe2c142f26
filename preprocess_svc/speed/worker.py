"""The speed worker: which log partition goes to which folder, what is sent, and what happens when a view reports a break."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Mapping
from typing import Any

import structlog

from preprocess_svc.speed.chain import Link
from preprocess_svc.speed.folder import Folder, Partial
from preprocess_svc.speed.resume import LogPartition, Resume
from preprocess_svc.speed.settings import SpeedSettings
from schemas import packs
from schemas.events import GapFound
from schemas.topics import partials_folded, records_accepted, topic_of
from twinstream.algebra.plan import ViewPlan
from twinstream.define import Pipeline
from twinstream.errors import TransientError
from twinstream.mesh.background import Background
from twinstream.mesh.blocked import Blocks
from twinstream.mesh.carrier import CarriedMessage, Carrier, TopicPartition, WorkerOptions
from twinstream.mesh.events import PAUSE_S, EventReader, Refused, patient
from twinstream.mesh.metrics import Metrics
from twinstream.mesh.settings import MeshSettings

_log = structlog.get_logger()


class SpeedWorker:
    """Folds the log partitions that its carrier assigns, and sends their partials in order."""

    def __init__(
        self,
        settings: MeshSettings,
        knobs: SpeedSettings,
        pipeline: Pipeline,
        resume: Resume,
        *,
        metrics: Metrics,
        refused: Refused,
    ) -> None:
        self._settings = settings
        self._knobs = knobs
        self._pipeline = pipeline
        self._refused = refused
        self._view_sources = {view.name: view.source.name for view in pipeline.views}
        self._resume = resume
        self._metrics = metrics
        self._plans = _plans_of(pipeline)
        self._source_of = {records_accepted(name): name for name in self._plans}
        self._topic_of = {v.name: partials_folded(v.name) for v in pipeline.views}
        self._folders: dict[TopicPartition, Folder] = {}
        self._resumed_at: dict[TopicPartition, float] = {}
        self.blocks = Blocks()
        self.carrier: Carrier
        self._background = Background()
        self.assigned = False

    @property
    def options(self) -> WorkerOptions:
        """What its carrier needs to know."""
        k = self._knobs
        return WorkerOptions(
            name="speed",
            topics=tuple(self._source_of),
            instance=k.instance,
            linger_s=k.linger_s,
            fetch_wait_ms=k.fetch_wait_ms,
            stall_s=k.stall_s,
        )

    @property
    def plans(self) -> list[ViewPlan]:
        """The plans of all views."""
        return [plan for plans in self._plans.values() for plan in plans]

    async def start_offsets(self, partitions: set[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Go on where a folder stands; where there is none yet, behind what Kafka already holds of it."""
        self._folders = {tp: folder for tp, folder in self._folders.items() if tp in partitions}
        self.blocks.only({(tp.topic, tp.partition) for tp in partitions})
        await self._start(partitions - self._folders.keys())
        self.assigned = True
        return {tp: folder.next_offset for tp, folder in self._folders.items()}

    async def handle(self, message: CarriedMessage) -> None:
        """Fold the next message of a log partition; what was folded before, or comes too early
        after a seek, is left.

        One that cannot be folded blocks its partition alone: to pass it over would lose records.
        """
        tp = TopicPartition(message.topic, message.partition)
        folder = self._folders.get(tp)
        if folder is None or message.offset != folder.next_offset:
            return
        before = folder.at
        try:
            await self._fold(folder, message)
        except Exception as error:  # noqa: BLE001  (whatever it is, other partitions go on)
            folder.at = before  # what was sent of it is sent again, and dropped as a repeat
            self._block(tp, message.offset, error)
        else:
            if self.blocks:
                self.blocks.clear((tp.topic, tp.partition))

    def _block(
        self,
        tp: TopicPartition,
        offset: int,
        error: Exception,
    ) -> None:
        pause_s = self.blocks.add((tp.topic, tp.partition), offset, error)
        asyncio.get_running_loop().call_later(pause_s, self._try_again, tp)

    def _try_again(self, tp: TopicPartition) -> None:
        folder = self._folders.get(tp)
        if folder is not None and (tp.topic, tp.partition) in self.blocks:
            self._background.begin(self.carrier.seek({tp: folder.next_offset}))

    async def _fold(self, folder: Folder, message: CarriedMessage) -> None:
        began = time.perf_counter()
        rows, partials = folder.fold(message.value, message.offset, time.time_ns() // 1000)
        self._metrics.observe("speed_fold_ms", (time.perf_counter() - began) * 1e3, "ms")
        self._metrics.count("speed_rows_total", rows)
        if not rows and packs.log_header(message.value) is packs.NOTHING:
            self._tell_foreign(message)
        self._metrics.count("speed_partials_total", len(partials))
        await self._send(partials)

    def _tell_foreign(self, message: CarriedMessage) -> None:
        _log.warning(
            "foreign_message_passed_over",
            topic=message.topic,
            partition=message.partition,
            offset=message.offset,
        )
        self._metrics.count("speed_foreign_messages_total")

    def next_offsets(self) -> Mapping[TopicPartition, int]:
        """The next log offset of each partition that goes on."""
        return {
            tp: f.next_offset
            for tp, f in self._folders.items()
            if (tp.topic, tp.partition) not in self.blocks
        }

    async def watch_gaps(self) -> None:
        """For each break that a view reports, look again where the log partition has to be folded on from."""
        reports: asyncio.Queue[GapFound] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        threading.Thread(
            target=_read_gaps,
            args=(self._settings, self._refused, loop, reports),
            name="gaps",
            daemon=True,
        ).start()
        while True:
            gap = await reports.get()
            source = self._view_sources.get(gap.view)
            if source is not None:
                await self._repair(TopicPartition(records_accepted(source), gap.origin_partition))

    async def _repair(self, tp: TopicPartition) -> None:
        since_s = time.monotonic() - self._resumed_at.get(tp, 0.0)
        if tp not in self._folders or since_s < self._knobs.resume_again_s:
            return
        place = self._place(tp)
        link = (await self._links([place]))[place]
        self._resumed_at[tp] = time.monotonic()
        folder = self._folders.get(tp)
        if folder is not None and link.offset < folder.at.offset:
            self._tell_resumed(place, link, folder)
            folder.at = link
            await self.carrier.seek({tp: folder.next_offset})

    def _tell_resumed(
        self,
        place: LogPartition,
        link: Link,
        folder: Folder,
    ) -> None:
        _log.warning(
            "chain_resumed",
            source=place[0],
            partition=place[1],
            behind=link.offset,
            stood_at=folder.at.offset,
        )
        self._metrics.count("speed_breaks_total")

    async def _start(self, partitions: set[TopicPartition]) -> None:
        if not partitions:
            return
        links = await self._links([self._place(tp) for tp in partitions])
        for tp in partitions:
            self._folders[tp] = self._folder(tp, links[self._place(tp)])
            self._resumed_at[tp] = time.monotonic()

    async def _links(self, places: list[LogPartition]) -> dict[LogPartition, Link]:
        """Where to fold on, however long Kafka takes to say: a broker that comes back hands out
        partitions before it answers all.
        """
        while True:
            try:
                return await asyncio.to_thread(self._resume.links, places)
            except TransientError as error:
                _log.warning("resume_waits", reason=str(error))
                await asyncio.sleep(PAUSE_S)

    def _folder(self, tp: TopicPartition, link: Link) -> Folder:
        name = self._source_of[tp.topic]
        _log.info(
            "log_partition_taken",
            source=name,
            partition=tp.partition,
            behind=link.offset,
            epoch=link.epoch,
        )
        return Folder(
            self._pipeline.source(name),
            self._plans[name],
            tp.partition,
            self._settings.partitions,
            link,
        )

    def _place(self, tp: TopicPartition) -> LogPartition:
        return self._source_of[tp.topic], tp.partition

    async def _send(self, partials: list[Partial]) -> None:
        """Enqueue in order; wait only when too many are on their way."""
        sent: Awaitable[Any] | None = None
        for partial in partials:
            sent = await self.carrier.send(
                self._topic_of[partial.view], partial.target, partial.value
            )
        if sent is not None and self.carrier.unconfirmed > self._knobs.unconfirmed:
            await sent


def _plans_of(pipeline: Pipeline) -> dict[str, list[ViewPlan]]:
    """By the name of each source that has views."""
    return {
        source.name: [ViewPlan(view) for view in views]
        for source in pipeline.sources
        if (views := pipeline.views_of(source.name))
    }


def _read_gaps(
    settings: MeshSettings,
    refused: Refused,
    loop: asyncio.AbstractEventLoop,
    reports: asyncio.Queue[GapFound],
) -> None:
    """Thread: hand over reports that come from now on; when it fails the process ends."""
    reader = EventReader(settings, [topic_of(GapFound)], from_beginning=False, refused=refused)
    for event, _ in patient(reader):
        if isinstance(event, GapFound):
            loop.call_soon_threadsafe(reports.put_nowait, event)
