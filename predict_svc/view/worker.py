"""The view worker: partials to stores, bases to stores, and what is told about it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import structlog

from predict_svc.view import layout as lay
from predict_svc.view.breaks import Breaks
from predict_svc.view.collected import Collected
from predict_svc.view.errors import BaseGoneError, EpochsFullError
from predict_svc.view.layout import Base
from predict_svc.view.opening import Opening
from predict_svc.view.publications import Place, Publications
from predict_svc.view.settings import ViewSettings
from predict_svc.view.step import Applied, Gap
from predict_svc.view.store import Store
from schemas.partials import header_of
from schemas.topics import partials_folded
from twinstream.algebra.plan import ViewPlan
from twinstream.define import Pipeline
from twinstream.errors import NotRunningError, TransientError
from twinstream.mesh.background import Background
from twinstream.mesh.blocked import Blocks
from twinstream.mesh.carrier import CarriedMessage, Carrier, TopicPartition, WorkerOptions
from twinstream.mesh.events import EventPublisher
from twinstream.mesh.metrics import Metrics

_log = structlog.get_logger()
TICK_S = 1.0
BUILDING_TICK_S = 0.1
LAND_AGAIN_S = 10.0
WAITS = (TransientError, OSError, MemoryError)
"""What the host refuses now and may take later; anything else that a store raises,
the input is to blame for.
"""


class Ports(NamedTuple):
    """What a view worker needs from outside."""

    open_store: Opening
    metrics: Metrics
    publisher: EventPublisher
    log_ends: Callable[[str], Mapping[int, int]]
    """The last offset of each partition of a source's log; raises NotRunningError."""


class Begun(NamedTuple):
    """Where the log and the partials ended when a store was begun;
    the latter is None until Kafka has said it.
    """

    log_ends: Mapping[int, int]
    partials_end: int | None


class ViewWorker:
    """Writes the partials of the partitions that its carrier assigns into their stores,
    and lands bases in them.
    """

    def __init__(
        self,
        knobs: ViewSettings,
        pipeline: Pipeline,
        ports: Ports,
    ) -> None:
        self._knobs = knobs
        self._open_store = ports.open_store
        self._metrics = ports.metrics
        self._log_ends = ports.log_ends
        self._begun: dict[TopicPartition, Begun] = {}
        self.plans = {view.name: ViewPlan(view) for view in pipeline.views}
        self._view_of = {partials_folded(name): name for name in self.plans}
        self._stores: dict[TopicPartition, Store] = {}
        self._next: dict[TopicPartition, int] = {}
        self._collected = Collected(knobs)
        self._breaks = Breaks(ports.publisher, knobs.gap_report_s)
        self._refusals: dict[str, str] = {}
        self._waiting: set[TopicPartition] = set()
        """Partitions whose partials are left alone until a base has landed;
        what is read of them meanwhile is read again then.
        """
        self._background = Background()
        self.blocks = Blocks()
        self._passed_over: dict[TopicPartition, tuple[int, int]] = {}
        """Log partition that a partial that could not be applied names, and how far that one was
        then.
        """
        self.assigned = False
        self.carrier: Carrier
        self.publications: Publications

    @property
    def options(self) -> WorkerOptions:
        """What its carrier needs to know."""
        k = self._knobs
        return WorkerOptions(
            name="view",
            topics=tuple(self._view_of),
            instance=k.instance,
            fetch_wait_ms=k.fetch_wait_ms,
            stall_s=k.stall_s,
            buffered=2048,
        )

    async def start_offsets(self, partitions: set[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Go on where each store says; an empty store first gets its base, and waits for it when
        that is refused.
        """
        self._flush()
        self._let_go(partitions)
        fresh = partitions - self._stores.keys()
        for tp in fresh:
            self._stores[tp] = self._open_store(self.plans[self._view_of[tp.topic]], tp.partition)
        self._hold()
        if fresh:
            empty = {tp for tp in fresh if not self._stores[tp].progress()}
            await self._based(empty)
            await self._begin(fresh, empty)
        self.assigned = True
        return self.next_offsets()

    def _let_go(self, kept: set[TopicPartition]) -> None:
        """Of all partitions but these."""
        for tp in self._stores.keys() - kept:
            self._stores.pop(tp).close()
            self._next.pop(tp)
            self._begun.pop(tp, None)
        self._waiting &= kept
        self.blocks.only({(tp.topic, tp.partition) for tp in kept})
        self._breaks.only(kept)

    async def _based(self, empty: set[TopicPartition]) -> None:
        """Once each has its base, or one attempt was made for it."""
        if empty:
            places = {self._place(tp) for tp in empty}
            await asyncio.to_thread(
                self.publications.wait_landed_or_tried, places, self._knobs.first_base_s
            )
            await asyncio.sleep(0)  # lets bases that were handed over land first

    async def _begin(self, fresh: set[TopicPartition], empty: set[TopicPartition]) -> None:
        """Take partials from where the stores say, or from the first that there still is."""
        first = await self.carrier.earliest_offsets(*fresh)
        for tp in fresh:
            self._next[tp] = max(self._stores[tp].read_state().start, first[tp])
        self._waiting |= {tp for tp in empty if not self._landed(tp)}

    async def handle(self, message: CarriedMessage) -> None:
        """Collect the next partial; what was taken before, or comes too early after a seek,
        is left.
        """
        tp = TopicPartition(message.topic, message.partition)
        if message.offset != self._next.get(tp) or tp in self._waiting:
            return
        self._next[tp] += 1
        if self._collected.add(tp, message):
            self._flush()

    def next_offsets(self) -> Mapping[TopicPartition, int]:
        """The next partials offset of each partition that is taken from."""
        return {tp: offset for tp, offset in self._next.items() if tp not in self._waiting}

    async def keep_flushing(self) -> None:
        """Write what was collected when nothing more comes."""
        while True:
            await self._collected.is_due()
            self._flush()

    async def keep_telling(self) -> None:
        """Every second: breaks that stay, and readers that died; more often while a store is built:
        whether it became whole.
        """
        while True:
            building = [tp for tp, store in self._stores.items() if not store.layout().whole]
            for tp in building:
                if tp in self._stores:
                    await self._complete(tp)
            self._breaks.report(self._view_of, self._landed)
            for store in self._stores.values():
                store.forget_dead_readers()
            await asyncio.sleep(BUILDING_TICK_S if building else TICK_S)

    def land(self, place: Place, base: Base) -> None:
        """Take a base that was fetched; called in the event loop."""
        tp = TopicPartition(partials_folded(place[0]), place[1])
        store = self._stores.get(tp)
        if store is None:
            return
        self._flush()
        began = time.perf_counter()
        try:
            again = store.land(base)
        except BaseGoneError as error:
            _log.warning("base_gone", reason=str(error))
            asyncio.get_running_loop().call_later(1.0, self._hold)
        except WAITS as error:
            self._not_landed(place, base.epoch, str(error))
        else:
            self._has_landed(place, base.epoch, time.perf_counter() - began)
            self._go_back(tp, again)

    def _not_landed(self, place: Place, epoch: int, reason: str) -> None:
        view, partition = place
        _log.error("base_not_landed", view=view, partition=partition, epoch=epoch, reason=reason)
        self.refuse(place, epoch, reason)
        asyncio.get_running_loop().call_later(LAND_AGAIN_S, self._hold)

    def _has_landed(self, place: Place, epoch: int, seconds: float) -> None:
        view, partition = place
        self._refusals.pop(f"{view}/{partition}", None)
        ms = round(seconds * 1e3, 1)
        _log.info("base_landed", view=view, partition=partition, epoch=epoch, ms=ms)
        self._metrics.count("view_bases_landed_total", view=view)

    def _go_back(self, tp: TopicPartition, again: int | None) -> None:
        """To what was left before the base landed."""
        if tp in self._waiting:
            self._background.begin(self._read_on(tp))
        elif again is not None and tp in self._next:
            self._next[tp] = again
            self._background.begin(self.carrier.seek({tp: again}))

    def refuse(self, place: Place, epoch: int, reason: str) -> None:
        """Tell that a base cannot be used; the one before stays."""
        self._refusals[f"{place[0]}/{place[1]}"] = f"epoch {epoch}: {reason}"
        self._metrics.count("view_bases_refused_total", view=place[0])

    @property
    def ready(self) -> bool:
        """Whether all stores are whole, have the newest base and take partials."""
        return (
            self.assigned
            and not self._waiting
            and not self.blocks
            and all(self._landed(tp) and store.layout().whole for tp, store in self._stores.items())
        )

    def detail(self) -> dict[str, object]:
        """For the heartbeat."""
        newest = {tp: store.layout().newest.epoch for tp, store in self._stores.items()}
        return {
            "partitions": len(self._stores),
            "epoch": min(newest.values(), default=0),
            "refused": dict(self._refusals),
            "gaps": len(self._breaks),
            "waiting": len(self._waiting),
            **self.blocks.detail(),
        }

    def _flush(self) -> None:
        """Write all that was collected, one transaction a store."""
        pending = self._collected.taken()
        started = time.monotonic()
        for tp, partials in pending.items():
            self._write(tp, partials)
        if pending:
            self._collected.took(time.monotonic() - started)

    def _write(self, tp: TopicPartition, partials: list[tuple[int, bytes]]) -> None:
        """When they are refused one of them is the cause; the others, and other partitions, go
        on.
        """
        began = time.perf_counter()
        try:
            done = self._stores[tp].apply(partials)
        except EpochsFullError as error:
            view = self._view_of[tp.topic]
            _log.error("base_awaited", view=view, partition=tp.partition, reason=str(error))
            self._waiting.add(tp)
        except Exception:  # noqa: BLE001
            self._apply_singly(tp, partials)
        else:
            self._metrics.observe("view_apply_ms", (time.perf_counter() - began) * 1e3, "ms")
            self._note(tp, done)

    def _apply_singly(self, tp: TopicPartition, partials: list[tuple[int, bytes]]) -> None:
        """Take partials one by one, up to the one that fails.

        One that cannot be applied is passed over: if it is the speed layer's, the chain tells that
        it is missing, and the partition counts as blocked until it came.
        What the disk refuses is waited for.
        """
        store = self._stores[tp]
        place = (tp.topic, tp.partition)
        for offset, value in partials:
            try:
                self._note(tp, store.apply([(offset, value)]))
            except (*WAITS, EpochsFullError) as error:
                self._waiting.add(tp)
                pause_s = self.blocks.add(place, offset, error)
                asyncio.get_running_loop().call_later(pause_s, self._try_again, tp)
                return
            except Exception as error:  # noqa: BLE001  (not a partial, whatever its header says)
                self.blocks.add(place, offset, error)
                self._pass_over(tp, offset, value)

    def _pass_over(self, tp: TopicPartition, offset: int, value: bytes) -> None:
        store = self._stores[tp]
        header = header_of(value)
        origin = -1 if header is None else header.origin_partition
        self._passed_over[tp] = origin, self._reached(tp, origin)
        self._note(tp, store.apply([(offset, b"")]))

    def _reached(self, tp: TopicPartition, origin: int) -> int:
        """How far the states of a log partition go."""
        progress = self._stores[tp].progress().get(origin)
        return -1 if progress is None else progress.offset

    def _try_again(self, tp: TopicPartition) -> None:
        if tp in self._stores and tp in self._waiting:
            self._background.begin(self._read_on(tp))

    async def _read_on(self, tp: TopicPartition) -> None:
        """Take partials again, from where the store stands."""
        first = await self.carrier.earliest_offsets(tp)
        if tp in self._waiting:
            self._waiting.discard(tp)
            self._next[tp] = max(self._stores[tp].read_state().start, first[tp])
            await self.carrier.seek({tp: self._next[tp]})

    def _note(self, tp: TopicPartition, done: Applied) -> None:
        self._measure(self._view_of[tp.topic], done)
        for gap in done.gaps:
            self._breaks.found(tp, gap)
        if self._breaks:
            self._forget_closed(tp)
        if self.blocks and done.applied:
            self._go_on(tp)

    def _measure(self, view: str, done: Applied) -> None:
        now_us = time.time_ns() // 1000
        for written_us in done.written_us:
            self._metrics.observe("view_freshness_ms", (now_us - written_us) / 1e3, "ms")
        self._metrics.count("view_rows_total", done.rows, view=view)
        if done.foreign:
            self._metrics.count("view_foreign_messages_total", done.foreign, view=view)
        if done.repeats:
            self._metrics.count("view_repeats_total", done.repeats, view=view)
        if done.gaps:
            self._metrics.count("view_gaps_total", len(done.gaps), view=view)

    def _go_on(self, tp: TopicPartition) -> None:
        """After a partial was applied: unless one that was passed over may have been the next of
        its chain.
        """
        origin, before = self._passed_over.get(tp, (-1, -1))
        if origin == -1 or self._reached(tp, origin) > before:
            self._passed_over.pop(tp, None)
            self.blocks.clear((tp.topic, tp.partition))

    async def _complete(self, tp: TopicPartition) -> None:
        """A store is whole once it has the newest base and all that the log held when it was begun;
        what no partial brings is a break.
        """
        if not await self._has_begun(tp) or tp in self._waiting or not self._landed(tp):
            return
        store = self._stores[tp]
        begun = self._begun[tp]
        lacking = lay.lacking(store.layout(), store.progress(), begun.log_ends)
        if not lacking:
            store.set_whole()
            self._forget_closed(tp)
            _log.info("view_whole", view=self._view_of[tp.topic], partition=tp.partition)
        elif begun.partials_end is None:
            self._begun[tp] = begun._replace(partials_end=self.carrier.highwater(tp))
        elif self._next.get(tp, 0) >= begun.partials_end and tp not in self._collected:
            for origin, reached in lacking.items():
                gap = Gap(origin, reached, begun.log_ends[origin])
                self._breaks.found(tp, gap, time.monotonic())

    async def _has_begun(self, tp: TopicPartition) -> bool:
        """Whether it is known where log and partials ended when the store was begun."""
        if tp in self._begun:
            return True
        source = self.plans[self._view_of[tp.topic]].view.source.name
        try:
            ends = await asyncio.to_thread(self._log_ends, source)
        except NotRunningError as error:
            _log.warning("log_end_unknown", reason=str(error))
            return False
        if tp not in self._stores:  # handed over meanwhile
            return False
        self._begun[tp] = Begun(ends, self.carrier.highwater(tp))
        return True

    def _forget_closed(self, tp: TopicPartition) -> None:
        """Breaks of a store that a partial, or a base, has closed."""
        store = self._stores[tp]
        self._breaks.forget_closed(tp, lay.position(store.layout().newest, store.progress()).log)

    def _hold(self) -> None:
        self.publications.hold(
            {
                self._place(tp): (store.bases, store.layout().newest.epoch)
                for tp, store in self._stores.items()
            }
        )

    def _place(self, tp: TopicPartition) -> Place:
        return self._view_of[tp.topic], tp.partition

    def _landed(self, tp: TopicPartition) -> bool:
        return self._stores[tp].layout().newest.epoch >= self.publications.newest(
            self._view_of[tp.topic]
        )
