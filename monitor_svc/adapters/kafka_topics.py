"""Reads topics with confluent-kafka from a chosen start, without a group, and knows when it stands at their end."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    TopicPartition,
)

from twinstream.errors import TransientError
from twinstream.mesh.kafka import declared
from twinstream.mesh.kafka.errors import is_end, passes, unread
from twinstream.mesh.kafka.positions import Range, at_time, cached_range, partitions, range_of
from twinstream.mesh.settings import MeshSettings

TIMEOUT_S = 15.0


class Topics:
    """All partitions of some topics; `since_us` skips what is older, by the message's timestamp."""

    def __init__(
        self,
        settings: MeshSettings,
        topics: Iterable[str],
        since_us: int | None = None,
        queue_kb: int = 8192,
    ) -> None:
        self._consumer = _consumer(settings, queue_kb)
        self._partitions = self._found(list(topics))
        self._failure: TransientError | None = None
        self._ended: set[tuple[str, int]] = set()
        self._next: dict[tuple[str, int], int] = {}
        self._goals: dict[tuple[str, int], tuple[int, int]] = {
            (p.topic, p.partition): range_of(self._consumer, p.topic, p.partition, TIMEOUT_S)
            for p in self._partitions
        }
        self._first = dict(self._goals)
        self._consumer.assign(self._starts(since_us))

    def _found(self, topics: list[str]) -> list[TopicPartition]:
        declared.reading(topics)
        return [
            TopicPartition(topic, number)
            for topic in topics
            for number in partitions(self._consumer, topic, TIMEOUT_S)
        ]

    @property
    def partitions(self) -> list[tuple[str, int]]:
        return [(p.topic, p.partition) for p in self._partitions]

    def at_end(self) -> bool:
        """Everything there was when last asked has been returned."""
        return len(self._ended) == len(self._partitions)

    def caught_up(self) -> bool:
        """Everything there was when this reader was made has been returned. Under steady traffic a reader may never stand at the end."""
        self._goals = {
            place: (low, high)
            for place, (low, high) in self._goals.items()
            if self._next.get(place, low) < high and place not in self._ended
        }
        return not self._goals

    def ended(self, topic: str, partition: int) -> bool:
        """The same for one partition."""
        return (topic, partition) in self._ended

    def poll(self, limit: int, timeout_s: float) -> list[Any]:
        """Up to `limit` messages; waits up to `timeout_s` for the first. Raises TransientError when Kafka refuses."""
        self._raise_failure()
        found: list[Any] = []
        message = self._consumer.poll(timeout_s)
        while message is not None:
            self._sort(message, found)
            message = self._consumer.poll(0) if len(found) < limit else None
        if not found:
            self._raise_failure()
        return found

    def _raise_failure(self) -> None:
        """Only between two batches: what was read with it is not lost."""
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def lag(self) -> int:
        """Messages that Kafka is known to have and `poll` has not returned."""
        return sum(self._behind(partition) for partition in self._partitions)

    def close(self) -> None:
        self._consumer.close()

    def _sort(self, message: Any, found: list[Any]) -> None:
        place, error = (message.topic(), message.partition()), message.error()
        if error is None:
            self._ended.discard(place)
            self._next[place] = message.offset() + 1
            found.append(message)
        elif is_end(error):
            self._ended.add(place)
        elif not passes(error):
            self._failure = unread(place[0], error)

    def _behind(self, partition: TopicPartition) -> int:
        known = cached_range(self._consumer, partition.topic, partition.partition)
        if known is None:  # not heard of yet: what there was when this reader was made
            known = Range(*self._first[(partition.topic, partition.partition)])
        reached = self._next.get((partition.topic, partition.partition), known.low)
        return max(0, known.high - max(known.low, reached))

    def _starts(self, since_us: int | None) -> list[TopicPartition]:
        places = [(p.topic, p.partition) for p in self._partitions]
        if since_us is None:
            return [TopicPartition(*place, OFFSET_BEGINNING) for place in places]
        found = at_time(self._consumer, places, since_us // 1000, TIMEOUT_S)
        for place, offset in found.items():
            self._next[place] = self._goals[place][1] if offset is None else offset
        return [TopicPartition(*place, self._next[place]) for place in places]


def _consumer(settings: MeshSettings, queue_kb: int) -> Consumer:
    return Consumer(
        settings.kafka_client(
            group_id=f"monitor-{uuid.uuid4().hex}",
            enable_auto_commit=False,
            enable_auto_offset_store=False,
            auto_offset_reset="earliest",
            enable_partition_eof=True,
            fetch_wait_max_ms=100,
            fetch_message_max_bytes=8_000_000,
            queued_max_messages_kbytes=queue_kb,
        )
    )
