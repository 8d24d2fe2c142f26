"""librdkafka's producer with our errors: no call raises a KafkaException, and one that has failed
for good is made anew.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import structlog
from confluent_kafka import KafkaException, Producer

from twinstream.errors import ProducerBrokenError, PublishError, QueueFullError
from twinstream.mesh.kafka import declared
from twinstream.mesh.kafka.errors import unsent

Options = Mapping[str, object]
Make = Callable[[dict[str, object]], Any]
PAUSE_S, LONGEST_POLL_S = 0.05, 0.5
_log = structlog.get_logger()


class KafkaProducer:
    """Safe for threads.

    Raises MessageRefusedError, QueueFullError, ProducerBrokenError, PublishError.
    """

    def __init__(self, options: Options, make: Make = Producer) -> None:
        self.client = make(dict(options))

    def __len__(self) -> int:
        """Messages without an answer."""
        return len(self.client)

    def enqueue(
        self,
        topic: str,
        bound_s: float,
        pause: Callable[[float], object] | None = None,
        **message: Any,
    ) -> None:
        """Hand a message over; while the queue is full `pause(seconds)` is called (by default this
        serves delivery reports).
        """
        declared.writing(topic)
        give_up = time.monotonic() + bound_s
        while not self._handed(topic, message):
            if time.monotonic() >= give_up:
                raise QueueFullError(
                    f"{topic}: the queue stayed full for {bound_s:g} s: is the broker up?"
                )
            (pause or self.poll)(PAUSE_S)

    def poll(self, timeout_s: float) -> None:
        """Serve delivery reports; waits up to so long for the first."""
        try:
            self.client.poll(timeout_s)
        except KafkaException as error:
            raise unsent("producer", error.args[0]) from error

    def flush(self, timeout_s: float) -> int:
        """Wait for the answers to all messages; returns how many have none yet.

        Not by the client's own `flush`, which calls delivery reports while the exception of a fatal
        error is set already.
        """
        give_up = time.monotonic() + timeout_s
        while len(self) and (left_s := give_up - time.monotonic()) > 0:
            self.poll(min(left_s, LONGEST_POLL_S))
        return len(self)

    def _handed(self, topic: str, message: dict[str, Any]) -> bool:
        try:
            self.client.produce(topic, **message)
        except BufferError:
            return False
        except KafkaException as error:
            raise unsent(topic, error.args[0], _size(message)) from error
        return True


class RenewedProducer:
    """A producer that is made anew when it was fenced, or when its broker and it no longer agree on
    what was sent.

    What the old one had not sent is told to its `on_delivery` as failed: it may be in Kafka or not.
    """

    def __init__(self, options: Options, make: Make = Producer) -> None:
        self._options, self._make = options, make
        self._now, self._lock = KafkaProducer(options, make), threading.Lock()
        self.renewals = 0

    def __len__(self) -> int:
        return len(self._now)

    def enqueue(self, topic: str, bound_s: float, **message: Any) -> None:
        """As `KafkaProducer.enqueue`; a message that a broken producer refuses goes to the new one."""
        producer = self._now
        try:
            producer.enqueue(topic, bound_s, **message)
        except ProducerBrokenError as error:
            self._renew(producer, error)
            self._now.enqueue(topic, bound_s, **message)

    def poll(self, timeout_s: float) -> None:
        producer = self._now
        try:
            producer.poll(timeout_s)
        except ProducerBrokenError as error:
            self._renew(producer, error)

    def flush(self, timeout_s: float) -> int:
        producer = self._now
        try:
            return producer.flush(timeout_s)
        except ProducerBrokenError as error:
            self._renew(producer, error)
            return self._now.flush(timeout_s)

    def _renew(self, broken: KafkaProducer, error: ProducerBrokenError) -> None:
        with self._lock:
            if self._now is not broken:
                return
            _log.error("producer_made_anew", waiting=len(broken), reason=str(error))
            self._now = KafkaProducer(self._options, self._make)
            self.renewals += 1
        _purge(broken)


def _purge(broken: KafkaProducer) -> None:
    """Who waits for its messages is told that they are lost."""
    with suppress(PublishError):
        broken.poll(0)  # takes the error from the queue, before the reports of what is purged
    broken.client.purge()
    with suppress(PublishError):
        broken.flush(1.0)


def _size(message: Mapping[str, Any]) -> int:
    """Bytes of key, value and headers."""
    parts = [message.get("value"), message.get("key"), *_flat(message.get("headers"))]
    return sum(len(part) for part in parts if part)


def _flat(headers: Any) -> list[Any]:
    return [part for header in headers or () for part in header]
