"""Ingest, live records: raw partition p of a source becomes log partition p, and an epoch's end becomes a barrier in each.

Handles raw records (emits packs, DeadLettered) and EpochSealRequested (emits barriers, EpochSealed). Arrivals of files: `adapters/kafka_files.py`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from functools import partial

import msgspec
import pyarrow as pa
import structlog

from ingest_svc.dedupe import RecentIds
from ingest_svc.handlers import handle_epoch_seal_requested
from ingest_svc.lane import Lane
from ingest_svc.log_state import LogState
from ingest_svc.log_writer import DeadLetter, LogWriter, OverlapError, Packed, Raws
from ingest_svc.ports import (
    Confirmed,
    DeadLetterSink,
    Events,
    Log,
    Meter,
    Place,
    RawRecords,
    SealRequests,
    Tails,
)
from ingest_svc.settings import IngestSettings
from ingest_svc.validation import Screen
from schemas.events import EpochSealRequested
from schemas.topics import record_sent
from twinstream.errors import MeshError, TransientError
from twinstream.mesh.clock import Clock

PAUSE_S = 1.0
_log = structlog.get_logger()


class SourceSetup(msgspec.Struct, frozen=True):
    """What is known of a source: its checks, the schema of its packs, and the rows that one may hold for its states to fit a partial."""

    screen: Screen
    schema: pa.Schema
    pack_rows: int = 1 << 30


class Ports(msgspec.Struct, frozen=True):
    """The outside world of the live part."""

    log: Log
    tails: Tails
    dead_letters: DeadLetterSink
    events: Events
    seals: SealRequests
    meter: Meter
    clock: Clock


class Ingest:
    """All open lanes of this worker. `step` does one round; `open` and `close` are called while raw records are polled."""

    def __init__(
        self,
        ports: Ports,
        sources: Mapping[str, SourceSetup],
        knobs: IngestSettings,
        *,
        replay: bool,
        stopping: threading.Event | None = None,
    ) -> None:
        self._stopping = stopping or threading.Event()
        self._ports, self._sources, self._knobs, self._replay = ports, sources, knobs, replay
        self.lanes: dict[Place, Lane] = {}
        self._requested = 0

    # -- assignment ----------------------------------------------------------------------------------------------------------------

    def open(self, place: Place) -> int:
        """Take a partition over from whoever had it; return the raw offset to go on at."""
        state, recent = self._ports.tails.log(place)
        start = self._start(place, state.raw_high + 1)
        dead = self._ports.tails.dead_letters(place, state)
        lane = Lane(place, record_sent(place.source), self._writer(place, state, recent), dead)
        self.lanes[place] = lane
        facts = {"raw_from": start, "epoch": state.epoch, "ids": len(recent)}
        _log.info("lane_opened", **_named(place), **facts)
        self._tell_sealed(lane)
        return start

    def _writer(
        self,
        place: Place,
        state: LogState,
        recent: RecentIds,
    ) -> LogWriter:
        setup = self._sources[place.source]
        return LogWriter(
            state,
            recent,
            setup.screen,
            setup.schema,
            replay=self._replay,
            pack_bytes=self._knobs.pack_bytes,
            pack_rows=setup.pack_rows,
        )

    def close(self, places: Iterable[Place]) -> None:
        """Hand partitions over: what was sent is confirmed, then they are forgotten."""
        self._confirm(self._ports.log.flush(), reopen=False)
        for place in places:
            if self.lanes.pop(place, None):
                _log.info("lane_closed", source=place.source, partition=place.partition)

    # -- work ----------------------------------------------------------------------------------------------------------------------

    def step(self, raws: RawRecords) -> int:
        """Poll once, write what came, seal what is asked for; return the count of raw records."""
        seen = 0
        for place, records in raws.poll():
            lane = self.lanes.get(place)
            if lane is not None:
                self._take(lane, records)
                seen += len(records.offsets)
        overlapped = self._confirm(self._ports.log.confirmed())
        overlapped |= self._make_room()
        self._take_requests()
        if not overlapped:
            overlapped = self._seal()
        for place in overlapped:
            self._reopen(place, raws)
        return seen

    def _take_requests(self) -> None:
        try:
            requests = self._ports.seals.poll()
        except TransientError as error:  # read again in the next round
            _log.warning("seal_requests_wait", reason=str(error))
            self._stopping.wait(PAUSE_S)
            return
        for event in requests:
            if isinstance(event, EpochSealRequested):
                self._requested = handle_epoch_seal_requested(event, self._requested)

    def flush(self) -> None:
        """Return when Kafka has everything."""
        self._confirm(self._ports.log.flush(), reopen=False)

    def lag(self, raws: RawRecords) -> int:
        """Raw records that are not in the log."""
        return sum(raws.lag(place, lane.next_raw) for place, lane in self.lanes.items())

    def _take(self, lane: Lane, records: Raws) -> None:
        now_us = self._ports.clock.now_us()
        packed = lane.writer.pack(records, now_us)
        self._put_dead(lane, lane.to_dead_letter(packed))
        oldest_us = now_us
        if not self._replay and len(records.times_us):
            oldest_us = int(records.times_us[0]) or now_us
        for message in packed.messages:
            lane.sent(message, oldest_us)
            self._ports.log.send(lane.place, message)
        self._measure(lane, len(records.offsets), packed)

    def _put_dead(self, lane: Lane, rejected: list[DeadLetter]) -> None:
        """Kafka has what is dead-lettered before the pack that covers it goes out."""
        if not rejected:
            return
        self._insist(lambda: self._write_dead(lane, rejected))
        _log.info(
            "records_dead_lettered",
            source=lane.place.source,
            partition=lane.place.partition,
            count=len(rejected),
            first_offset=rejected[0].offset,
            reason=rejected[0].reason,
        )

    def _write_dead(self, lane: Lane, rejected: list[DeadLetter]) -> None:
        for dead in rejected:
            self._ports.dead_letters.put(
                dead.value,
                dead.reason,
                topic=lane.raw_topic,
                partition=lane.place.partition,
                offset=dead.offset,
                wait=False,
                carried=dead.beside.headers,
                key=dead.beside.key,
                source=lane.place.source,
            )
        self._ports.dead_letters.flush()

    def _insist(self, work: Callable[[], object]) -> None:
        """Do it again until Kafka takes it: what was read of the raw topic is in this process's
        memory alone, and must be covered in order.
        """
        while True:
            try:
                work()
            except TransientError as error:
                _log.warning("kafka_awaited", reason=str(error))
                if self._stopping.wait(PAUSE_S):
                    raise
            else:
                return

    def _make_room(self) -> set[Place]:
        """Wait while a lane has too much unconfirmed: this bounds what a worker adds after another one took over."""
        if all(lane.waiting < self._knobs.outstanding for lane in self.lanes.values()):
            return set()
        return self._confirm(self._ports.log.flush())

    def _confirm(self, confirmed: Iterable[Confirmed], *, reopen: bool = True) -> set[Place]:
        """Note what Kafka has; return the places in which another writer was found."""
        overlapped: set[Place] = set()
        now_us = self._ports.clock.now_us()
        for place, header, offset in confirmed:
            lane = self.lanes.get(place)
            if lane is None or place in overlapped:
                continue
            try:
                oldest_us = lane.confirmed(header, offset)
            except OverlapError as error:
                overlapped.add(place)
                facts = {"reason": str(error), "reopened": reopen}
                _log.warning("other_writer_found", **_named(place), **facts)
            else:
                self._measure_time(place, now_us - oldest_us)
        return overlapped

    def _measure_time(self, place: Place, took_us: int) -> None:
        """From a raw record to the log."""
        self._ports.meter.observe("ingest_raw_to_log_ms", took_us / 1000, "ms", source=place.source)

    def _reopen(self, place: Place, raws: RawRecords) -> None:
        """Learn anew from the log what stands there, after everything of ours is in it."""
        self._confirm(self._ports.log.flush(), reopen=False)
        raws.rewind(place, self.open(place))

    # -- epochs --------------------------------------------------------------------------------------------------------------------

    def _seal(self) -> set[Place]:
        """A barrier for each epoch that is asked for and still open; return the places in which
        another writer was found.
        """
        while due := [lane for lane in self.lanes.values() if lane.writer.epoch <= self._requested]:
            overlapped = self._confirm(self._with_barriers(due))
            for lane in due:
                if lane.place not in overlapped:
                    self._tell_sealed(lane)
            if overlapped:
                return overlapped
        return set()

    def _with_barriers(self, due: Iterable[Lane]) -> Iterable[Confirmed]:
        """What Kafka has once these lanes have sent theirs."""
        now_us = self._ports.clock.now_us()
        for lane in due:
            message = lane.writer.barrier(now_us)
            lane.sent(message, now_us)
            self._ports.log.send(lane.place, message)
        return self._ports.log.flush()

    def _tell_sealed(self, lane: Lane) -> None:
        """Say where the last epoch ended; repeating it is harmless."""
        place = lane.place
        sealed = lane.writer.confirmed.sealed(
            place.source, place.partition, self._ports.clock.now_us()
        )
        if sealed is not None:
            key = f"{place.source}/{place.partition}"
            self._insist(partial(self._ports.events.publish, sealed, key))
            _log.info(
                "epoch_sealed",
                source=place.source,
                partition=place.partition,
                epoch=sealed.epoch,
                offset=sealed.offset,
            )

    # -- checks and figures --------------------------------------------------------------------------------------------------------

    def _start(self, place: Place, expected: int) -> int:
        """Where to go on; refuses a raw topic that ends before what the log covers, and tells of records that expired unread."""
        low, end = self._ports.tails.raw_range(place)
        topic = record_sent(place.source)
        if expected > end:
            raise MeshError(
                f"{topic}[{place.partition}] ends at {end}, but the log covers it up to {expected - 1}: was the topic made anew? "
                "Restore it, or start with a new log and data folder"
            )
        if expected < low:
            _log.error(
                "raw_records_expired",
                topic=topic,
                partition=place.partition,
                first_lost=expected,
                count=low - expected,
            )
            self._ports.meter.count("ingest_expired_total", low - expected, source=place.source)
        return max(low, expected)

    def _measure(
        self,
        lane: Lane,
        records: int,
        packed: Packed,
    ) -> None:
        meter, source = self._ports.meter, lane.place.source
        meter.count("ingest_records_in_total", records, source=source)
        meter.count("ingest_records_logged_total", packed.rows, source=source)
        meter.observe("ingest_pack_rows", packed.rows, "rows", source=source)
        self._measure_left_out(source, packed)
        self._tell_forgotten(lane)

    def _measure_left_out(self, source: str, packed: Packed) -> None:
        meter = self._ports.meter
        if packed.duplicates:
            meter.count("ingest_duplicates_total", packed.duplicates, source=source)
        if dead_letters := len(packed.dead_letters):
            meter.count("ingest_dead_letters_total", dead_letters, source=source)

    def _tell_forgotten(self, lane: Lane) -> None:
        forgotten, place = lane.newly_forgotten(), lane.place
        if not forgotten:
            return
        self._ports.meter.count("ingest_ids_forgotten_total", forgotten, source=place.source)
        _log.warning(
            "ids_forgotten_early",
            source=place.source,
            partition=place.partition,
            count=forgotten,
            remedy="a shorter dedupe=, more partitions, or TWINSTREAM_INGEST_DEDUPE_IDS",
        )


def _named(place: Place) -> dict[str, object]:
    """As the log has it."""
    return {"source": place.source, "partition": place.partition}
