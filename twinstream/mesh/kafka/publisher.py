"""Publishes events, in order, through a producer that is made anew when it has failed for good."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from confluent_kafka import KafkaError

from schemas import events as ev
from schemas.plausible import not_finite
from schemas.topics import topic_of
from twinstream.errors import NotFiniteError, PublishError, QueueFullError
from twinstream.mesh.kafka.cloud_events import Headers, cloud_headers
from twinstream.mesh.kafka.errors import MESSAGE_BYTES, unsent
from twinstream.mesh.kafka.producer import RenewedProducer
from twinstream.mesh.settings import MeshSettings

DELIVERY_BOUND_S = 30.0


class Place(NamedTuple):
    """Where a message stands."""

    topic: str
    partition: int
    offset: int


class _Sent:
    """What became of one message; set by the thread that serves delivery reports."""

    def __init__(self) -> None:
        self.answered = threading.Event()
        self.place: Place | None = None
        self.error: Exception | None = None

    def delivered(self, error: KafkaError | None, message: Any) -> None:
        if error is None:
            self.place = Place(message.topic(), message.partition(), message.offset())
        else:
            self.error = unsent(message.topic(), error, len(message))
        self.answered.set()


class EventPublisher:
    """Publishes events to their topics, in order, each until every replica in sync has it. Safe for
    threads.

    Its producer is made anew when Kafka does not take it for the one that it knew.
    """

    def __init__(
        self,
        settings: MeshSettings,
        source: str,
        *,
        partitioner: str = "",
        lost: Callable[[int], None] | None = None,
        most_waiting: int = 100_000,
        bound_s: float = DELIVERY_BOUND_S,
        linger_ms: int = 1,
    ) -> None:
        """A message that Kafka has not taken after `bound_s` has failed.
        So long a message waits for others to travel with: `linger_ms`.

        With `lost` a message that is not waited for waits for Kafka as long as it takes, in memory,
        at most so many of them.
        Nothing blocks then, and each one that is lost all the same is told to `lost`.
        """
        self._source, self._lost, self._bound_s = source, lost, bound_s
        self._failures: list[str] = []
        self._producer = RenewedProducer(
            settings.kafka_client(
                acks="all",
                enable_idempotence=True,
                linger_ms=linger_ms,
                message_max_bytes=MESSAGE_BYTES,
                queue_buffering_max_messages=most_waiting,
                message_timeout_ms=int(bound_s * 1000) if lost is None else 0,
                compression_type="lz4",
                **({"partitioner": partitioner} if partitioner else {}),
            )
        )

    def publish(
        self,
        event: ev.Event,
        key: str | bytes | None = None,
        *,
        wait: bool = True,
    ) -> Place | None:
        """Send one event; with `wait`, return its place when Kafka has it, else fail on a later
        call or `flush`.

        Raises PublishError naming topic and cause, MessageRefusedError for an event that is too
        large, NotFiniteError
        for one with a number that JSON cannot hold.
        """
        if found := not_finite(event):
            raise NotFiniteError(
                f"a {type(event).__name__} was not published: {found} is not a finite number"
            )
        return self.publish_raw(
            topic_of(event),
            ev.encode(event),
            key,
            cloud_headers(type(event).__name__, self._source),
            wait=wait,
        )

    def publish_raw(
        self,
        topic: str,
        value: bytes,
        key: str | bytes | None,
        headers: Headers,
        *,
        wait: bool = True,
        partition: int = -1,
    ) -> Place | None:
        """Send bytes with given headers, to `partition` unless that is -1;
        otherwise as `publish`.
        """
        self._raise_failures()
        message = {"value": value, "key": key, "headers": headers, "partition": partition}
        if wait:
            return self._send_and_wait(topic, message)
        self._hand_over(topic, message, self._noted)
        return None

    def send(
        self,
        topic: str,
        value: bytes,
        key: str | bytes | None,
        headers: Headers,
        sent: Callable[[], object],
    ) -> None:
        """As `publish_raw` without waiting; `sent` is called when Kafka has the bytes."""
        self._raise_failures()

        def answered(error: KafkaError | None, message: Any) -> None:
            self._noted(error, message)
            if error is None:
                sent()

        self._hand_over(topic, {"value": value, "key": key, "headers": headers}, answered)

    def _hand_over(
        self,
        topic: str,
        message: dict[str, Any],
        answered: Callable[[KafkaError | None, Any], None],
    ) -> None:
        bound_s = self._bound_s if self._lost is None else 0.0
        try:
            self._producer.enqueue(topic, bound_s, on_delivery=answered, **message)
        except QueueFullError:
            if self._lost is None:
                raise
            self._lost(1)
        self._producer.poll(0)

    def __len__(self) -> int:
        """Messages that wait for Kafka."""
        return len(self._producer)

    def flush(self, timeout_s: float | None = None) -> None:
        """Return when Kafka has everything published so far; raises PublishError otherwise."""
        timeout_s = self._bound_s if timeout_s is None else timeout_s
        left = self._producer.flush(timeout_s)
        self._raise_failures()
        if left:
            raise PublishError(f"{left} messages not taken within {timeout_s} s: is the broker up?")

    close = flush

    def _noted(self, error: KafkaError | None, message: Any) -> None:
        """Of a message that nobody waits for."""
        if error is None:
            return
        if self._lost is not None:
            self._lost(1)
        else:
            self._failures.append(str(unsent(message.topic(), error, len(message))))

    def _send_and_wait(self, topic: str, message: dict[str, Any]) -> Place | None:
        sent = _Sent()
        self._producer.enqueue(topic, self._bound_s, on_delivery=sent.delivered, **message)
        give_up = time.monotonic() + self._bound_s + 5
        while not sent.answered.is_set():
            self._producer.poll(0.05)
            if time.monotonic() > give_up:
                raise PublishError(
                    f"{topic}: no answer within {self._bound_s} s: is the broker up?"
                )
        if sent.error is not None:
            raise sent.error
        return sent.place

    def _raise_failures(self) -> None:
        """Of messages that nobody waited for: whoever is told now is not to blame, so this is never
        a permanent error.
        """
        if self._failures:
            failures, self._failures = self._failures, []
            raise PublishError("; ".join(failures[:3]))
