"""Reads topics with confluent-kafka from a chosen start, without a group, and knows when it stands at their end."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

from confluent_kafka import (
    OFFSET_BEGINNING,
    OFFSET_END,
    Consumer,
    KafkaError,
    KafkaException,
    TopicPartition,
)

from twinstream.errors import NotRunningError, TransientError
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
        self._consumer = Consumer(
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
        self._partitions = [
            TopicPartition(topic, number) for topic in topics for number in self._numbers(topic)
        ]
        self._ended: set[tuple[str, int]] = set()
        self._next: dict[tuple[str, int], int] = {}
        self._goals = {
            (p.topic, p.partition): self._consumer.get_watermark_offsets(p, timeout=TIMEOUT_S)
            for p in self._partitions
        }
        self._consumer.assign(self._starts(since_us))

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
        found: list[Any] = []
        message = self._consumer.poll(timeout_s)
        while message is not None:
            self._sort(message, found)
            message = self._consumer.poll(0) if len(found) < limit else None
        return found

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
        elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001
            self._ended.add(place)
        elif not error.retriable() and error.code() not in {
            KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001
            KafkaError._TRANSPORT,  # noqa: SLF001
        }:
            raise TransientError(f"reading {place[0]}: {error.str()}")

    def _behind(self, partition: TopicPartition) -> int:
        low, high = self._consumer.get_watermark_offsets(partition, cached=True)
        return max(0, high - max(low, self._next.get((partition.topic, partition.partition), low)))

    def _starts(self, since_us: int | None) -> list[TopicPartition]:
        if since_us is None:
            return [
                TopicPartition(p.topic, p.partition, OFFSET_BEGINNING) for p in self._partitions
            ]
        asked = [
            TopicPartition(p.topic, p.partition, max(0, since_us // 1000)) for p in self._partitions
        ]
        found = self._consumer.offsets_for_times(asked, timeout=TIMEOUT_S)
        for place in found:
            if place.offset == OFFSET_END:
                self._next[(place.topic, place.partition)] = self._consumer.get_watermark_offsets(
                    place, timeout=TIMEOUT_S
                )[1]
            else:
                self._next[(place.topic, place.partition)] = place.offset
        return found

    def _numbers(self, topic: str) -> list[int]:
        try:
            found = self._consumer.list_topics(topic, timeout=TIMEOUT_S).topics[topic]
        except KafkaException as error:
            raise NotRunningError(f"Kafka does not answer: {error.args[0].str()}") from error
        if found.error is not None:
            raise NotRunningError(f"topic {topic}: {found.error.str()}; create the topics first")
        return sorted(found.partitions)
