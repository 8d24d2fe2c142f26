"""Sends in order and, within this process's life, once, with librdkafka; answers come to the
worker's event loop.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from functools import partial
from typing import Any

import structlog

from twinstream.errors import MessageRefusedError
from twinstream.mesh.carrier import WorkerOptions
from twinstream.mesh.carrying import FAILED, end, never_taken
from twinstream.mesh.kafka.producer import KafkaProducer
from twinstream.mesh.settings import MeshSettings
from twinstream.mesh.topics_admin import MAX_MESSAGE_BYTES

FULL_S = 30.0
"""For how long a full queue is waited for."""
POLL_S = 0.2
_log = structlog.get_logger()


class ConfluentSends:
    """A producer whose answers are futures. A message that is not sent ends the process."""

    def __init__(self, settings: MeshSettings, options: WorkerOptions) -> None:
        self.unconfirmed = 0
        self.confirmed = 0
        self._producer = _producer(settings, options)
        self._answers: deque[tuple[asyncio.Future[None], Any]] = deque()
        self._loop: asyncio.AbstractEventLoop

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Hand over answers to this loop from now on."""
        self._loop = loop
        threading.Thread(target=self._serve, name="deliveries", daemon=True).start()

    def send(
        self,
        topic: str,
        partition: int,
        value: bytes,
    ) -> asyncio.Future[None]:
        """Enqueue; in the loop. Raises MessageRefusedError."""
        sent: asyncio.Future[None] = self._loop.create_future()
        try:
            self._producer.enqueue(
                topic,
                FULL_S,
                value=value,
                partition=partition,
                on_delivery=partial(self._answered, sent),
            )
        except MessageRefusedError as error:
            raise never_taken(topic, partition, value) from error
        self.unconfirmed += 1
        return sent

    def _serve(self) -> None:
        """Thread: serves delivery reports; when the producer fails for good the process ends."""
        try:
            while True:
                self._producer.poll(POLL_S)
        except Exception:  # noqa: BLE001  a thread has nobody to raise it to
            _log.exception("producer_failed")
        end(FAILED)

    def _answered(
        self,
        sent: asyncio.Future[None],
        error: Any,
        _message: Any,
    ) -> None:
        """Many come at once: the loop is woken for the first."""
        self._answers.append((sent, error))
        if len(self._answers) == 1:
            self._loop.call_soon_threadsafe(self._settle)

    def _settle(self) -> None:
        while self._answers:
            sent, error = self._answers.popleft()
            self.unconfirmed -= 1
            self.confirmed += 1
            if error is not None:
                _log.error("message_not_sent", reason=error.str())
                end(FAILED)
            if not sent.done():
                sent.set_result(None)


def _producer(settings: MeshSettings, options: WorkerOptions) -> KafkaProducer:
    return KafkaProducer(
        settings.kafka_client(
            enable_idempotence=True,
            acks="all",
            linger_ms=options.linger_s * 1000,
            message_max_bytes=MAX_MESSAGE_BYTES,
            compression_type="none",
        )
    )
