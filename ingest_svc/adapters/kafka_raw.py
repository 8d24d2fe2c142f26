"""Reads the raw topics as a static member of a consumer group; where to start comes from the log, never from committed offsets."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import pairwise
from operator import methodcaller
from typing import Any

import numpy as np
import numpy.typing as npt
import structlog
from confluent_kafka import (
    TIMESTAMP_LOG_APPEND_TIME,
    Consumer,
    KafkaError,
    Message,
    TopicPartition,
)

from ingest_svc.adapters.kafka_notes import CRITICAL, note
from ingest_svc.assignment import Assignment
from ingest_svc.log_writer import Beside, Raws
from ingest_svc.ports import Place
from ingest_svc.settings import IngestSettings
from schemas.topics import record_sent
from twinstream.errors import TransientError
from twinstream.mesh.kafka import declared
from twinstream.mesh.kafka.cloud_events import headers_of
from twinstream.mesh.kafka.errors import asking, passes, unread
from twinstream.mesh.kafka.positions import cached_range
from twinstream.mesh.settings import MeshSettings

_log = structlog.get_logger()
Lanes = Mapping[Place, Sequence[Any]]
PAUSE_S = 1.0
HALVINGS = 32  # about so many messages are asked for each change of time; beyond it all are


class KafkaRaw:
    """Raw records of the assigned partitions. `opened` says where to start, `closed` is told what was taken away."""

    def __init__(
        self,
        settings: MeshSettings,
        knobs: IngestSettings,
        group: str,
        instance: str,
        sources: Iterable[str],
        *,
        opened: Callable[[Place], int],
        closed: Callable[[list[Place]], None],
        stopping: threading.Event,
    ) -> None:
        self._places = {record_sent(source): source for source in sources}
        self._names = list(self._places.values())
        self._numbers = {topic: number for number, topic in enumerate(self._places)}
        self._opened = opened
        self._closed = closed
        self._stopping = stopping
        self._rows = knobs.pack_rows
        self._wait_s = knobs.pack_ms / 1000
        self._gather_s = min(knobs.gather_ms, knobs.pack_ms) / 1000
        self._took_at = 0.0
        self._replay = settings.clock == "replay"
        self._fresh: dict[Place, int] = {}
        self._opened_now: set[tuple[str, int]] = set()
        self.assignment = Assignment()
        self._consumer = Consumer(_options(settings, knobs.session_ms, group, instance))
        self._subscribe()

    def _subscribe(self) -> None:
        declared.reading(self._places)
        self._consumer.subscribe(
            list(self._places), on_assign=self._assign, on_revoke=self._revoke, on_lost=self._revoke
        )

    def poll(self) -> Iterator[tuple[Place, Raws]]:
        """What came within a pack's time, by partition. Everything of a call must be taken before the next one."""
        self._fresh.clear()
        messages = self._consume()
        for place, group in self._by_place(messages).items():
            wanted = self._from_start(place, group) if place in self._fresh else group
            if wanted:
                yield place, self._raws(wanted)

    def _consume(self) -> list[Message]:
        """All that comes within a pack's time after the last call that brought some; after a pause
        only what comes with the first.

        Packs cost, records do not: so there are at most so many a second, but nobody waits for a
        pack's time when little comes.
        """
        messages = self._given(1, self._wait_s)
        if not messages:
            return messages
        until = max(self._took_at + self._wait_s, time.monotonic() + self._gather_s)
        while len(messages) < self._rows and (left := until - time.monotonic()) > 0:
            self._opened_now.clear()
            more = self._given(self._rows - len(messages), left)
            messages = self._still_owned(messages) + more
        self._took_at = time.monotonic()
        return messages

    def _still_owned(self, messages: list[Message]) -> list[Message]:
        """What was taken before a partition was opened is of an earlier ownership, and comes
        again.
        """
        if not self._opened_now:
            return messages
        return [
            message
            for message in messages
            if (message.topic(), message.partition()) not in self._opened_now
        ]

    def _given(self, most: int, wait_s: float) -> list[Message]:
        """Raises NotRunningError when this consumer reads nothing more, as when another process
        took its name in the group.
        """
        with asking("raw records"):
            return list(self._consumer.consume(most, wait_s))

    def rewind(self, place: Place, offset: int) -> None:
        """Go on at `offset`; what is fetched already is dropped."""
        at = TopicPartition(record_sent(place.source), place.partition, offset)
        self._consumer.incremental_unassign([at])
        self._consumer.incremental_assign([at])

    def lag(self, place: Place, offset: int) -> int:
        """Records from `offset` to the end that the client knows of."""
        known = cached_range(self._consumer, record_sent(place.source), place.partition)
        return max(0, known.high - offset) if known else 0

    def close(self) -> None:
        """Stop reading; a static member keeps its partitions until its session ends."""
        self._consumer.close()

    def _assign(self, consumer: Any, partitions: list[TopicPartition]) -> None:
        starts = []
        for partition in partitions:
            place = self._place(partition)
            start = self._fresh[place] = self._start_of(place)
            self._opened_now.add((partition.topic, partition.partition))
            starts.append(TopicPartition(partition.topic, partition.partition, start))
        consumer.incremental_assign(starts)
        self.assignment.given(map(self._place, partitions))

    def _start_of(self, place: Place) -> int:
        """Where to start, however long Kafka takes to say: a broker that comes back hands out
        partitions before it answers all.
        """
        while True:
            try:
                return self._opened(place)
            except TransientError as error:
                _log.warning(
                    "lane_waits",
                    source=place.source,
                    partition=place.partition,
                    reason=str(error),
                )
                if self._stopping.wait(PAUSE_S):
                    raise

    def _revoke(self, consumer: Any, partitions: list[TopicPartition]) -> None:
        places = [self._place(partition) for partition in partitions]
        self._closed(places)
        self.assignment.taken(places)
        consumer.incremental_unassign(partitions)

    def _place(self, partition: TopicPartition) -> Place:
        return Place(self._places[partition.topic], partition.partition)

    def _by_place(self, messages: list[Any]) -> dict[Place, list[Any]]:
        """Messages by partition, each in its order. Methods are mapped, not called one by one:
        every record passes here.
        """
        messages = self._without_errors(messages)
        groups: dict[Place, list[Any]] = {}
        for place, start, end in self._runs(messages):
            groups.setdefault(place, []).extend(messages[start:end])
        return groups

    def _runs(self, messages: list[Any]) -> Iterator[tuple[Place, int, int]]:
        """Where messages of one partition follow each other."""
        n = len(messages)
        partitions = np.fromiter(map(Message.partition, messages), np.int64, n)
        topics = map(Message.topic, messages)
        sources = np.fromiter(map(self._numbers.__getitem__, topics), np.int64, n)
        starts = np.flatnonzero(_changes(partitions) | _changes(sources)).tolist()
        for start, end in pairwise([*starts, n]):
            yield Place(self._names[sources[start]], int(partitions[start])), start, end

    def _without_errors(self, messages: list[Any]) -> list[Any]:
        errors = list(map(Message.error, messages))
        if errors.count(None) == len(errors):
            return messages
        for error in filter(None, errors):
            self._check(error)
        return [message for message, error in zip(messages, errors, strict=True) if error is None]

    def _from_start(self, place: Place, group: list[Any]) -> list[Any]:
        """Of a partition opened during this call: only what follows its start without a hole, for the rest may be of an earlier ownership."""
        start = self._fresh[place]
        at = next((i for i, message in enumerate(group) if message.offset() == start), None)
        if at is None:
            self.rewind(place, start)
            return []
        return group[at:]

    def _raws(self, group: list[Any]) -> Raws:
        if self._replay:
            stamps = (m.timestamp()[1] for m in group)
            times = np.fromiter(stamps, np.int64, len(group)) * 1000
        else:
            times = append_times(group)
        values = list(map(Message.value, group))
        return Raws(_offsets(group), times, values, partial(beside, group))

    @staticmethod
    def _check(error: KafkaError) -> None:
        if not passes(error):
            raise unread("raw records", error)
        _log.warning("raw_read_interrupted", reason=error.str())


def _options(
    settings: MeshSettings,
    session_ms: int,
    group: str,
    instance: str,
) -> dict[str, object]:
    """Librdkafka's settings of a reader that keeps its own offsets."""
    return settings.kafka_client(
        log_level=CRITICAL,
        error_cb=note,
        group_id=group,
        group_instance_id=instance,
        session_timeout_ms=session_ms,
        heartbeat_interval_ms=max(500, session_ms // 3),
        partition_assignment_strategy="cooperative-sticky",
        enable_auto_commit=False,
        enable_auto_offset_store=False,
        auto_offset_reset="error",
        fetch_wait_max_ms=100,
        fetch_message_max_bytes=8_388_608,
        queued_max_messages_kbytes=131_072,
        reconnect_backoff_max_ms=500,
        topic_metadata_refresh_interval_ms=10_000,
        isolation_level="read_committed",
    )


def beside(group: Sequence[Any], offset: int) -> Beside:
    """Key and headers of the message at an offset of a partition's messages."""
    message = group[bisect_left(group, offset, key=methodcaller("offset"))]
    return Beside(message.key(), headers_of(message))


def _changes(numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Where one differs from that before it; the first always does."""
    return np.diff(numbers, prepend=-1) != 0


def _offsets(group: Sequence[Any]) -> npt.NDArray[np.int64]:
    """Asked one by one only where some are missing."""
    first, last = group[0].offset(), group[-1].offset()
    if last - first == len(group) - 1:
        return np.arange(first, last + 1)
    return np.fromiter(map(Message.offset, group), np.int64, len(group))


def append_times(group: Sequence[Any]) -> npt.NDArray[np.int64]:
    """When the broker appended each message of a partition, in microseconds; 0 where the topic has
    its clients' times.

    Many have one time, as a broker stamps whole batches: runs of them are found by halving, which
    is cheaper than asking each.
    """
    n = len(group)
    kind, first = group[0].timestamp()
    last = group[-1].timestamp()[1]
    if kind != TIMESTAMP_LOG_APPEND_TIME:
        return np.zeros(n, np.int64)
    if (last - first) * HALVINGS > n:
        return np.fromiter((time for _, time in map(Message.timestamp, group)), np.int64, n) * 1000
    return _by_halving(group, first, last) * 1000


def _by_halving(
    group: Sequence[Any],
    first: int,
    last: int,
) -> npt.NDArray[np.int64]:
    """Times that never decrease, in milliseconds, asked only where they change."""
    n = len(group)
    times = np.empty(n, np.int64)
    open_: list[tuple[int, int, int, int]] = [(0, n - 1, first, last)]
    while open_:
        start, end, early, late = open_.pop()
        if early == late or end - start < 2:
            times[start:end], times[end] = early, late
        else:
            middle = (start + end) // 2
            time = group[middle].timestamp()[1]
            open_ += [(start, middle, early, time), (middle, end, time, late)]
    return times
