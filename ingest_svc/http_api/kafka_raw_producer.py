"""The port `Raw` over Kafka: keys go where Kafka's Java client would send them."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

from confluent_kafka import KafkaError

from ingest_svc.adapters.kafka_notes import CRITICAL, note
from schemas.topics import PARTITIONER, record_sent
from twinstream.errors import PublishError
from twinstream.mesh.kafka.errors import MESSAGE_BYTES
from twinstream.mesh.kafka.producer import RenewedProducer
from twinstream.mesh.settings import MeshSettings


class _Batch:
    """The records of one request on their way."""

    def __init__(self, count: int) -> None:
        self.left, self.position, self.errors = count, dict[int, int](), list[str]()
        self.done, self._lock = threading.Event(), threading.Lock()

    def delivered(self, error: KafkaError | None, message: Any) -> None:
        with self._lock:
            self._note(error, message)

    def _note(self, error: KafkaError | None, message: Any) -> None:
        if error is not None:
            self.errors.append(error.str())
        else:
            partition, offset = message.partition(), message.offset()
            self.position[partition] = max(self.position.get(partition, -1), offset)
        self.left -= 1
        if self.left <= 0:
            self.done.set()


class KafkaRawProducer:
    """Sends records of requests; a background thread serves delivery reports. Safe for threads."""

    def __init__(self, settings: MeshSettings, confirm_s: float) -> None:
        self._confirm_s = confirm_s
        self._producer = RenewedProducer(_options(settings, confirm_s))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="delivery-reports", daemon=True)
        self._thread.start()

    def send(self, source: str, records: Sequence[tuple[bytes | None, bytes]]) -> dict[int, int]:
        """Send (key, value) pairs and wait for Kafka; raises PublishError when it has not taken all
        of them in time.
        """
        batch, topic = _Batch(len(records)), record_sent(source)
        give_up = time.monotonic() + self._confirm_s
        for key, value in records:
            self._enqueue(topic, key, value, batch, give_up)
        if not batch.done.wait(max(0.1, give_up + 1.0 - time.monotonic())) or batch.errors:
            why = batch.errors[0] if batch.errors else f"no answer within {self._confirm_s} s"
            raise PublishError(
                f"Kafka has not taken all of the records: {why}. Some may be in: "
                "send them again, the id keeps them single"
            )
        return batch.position

    def close(self) -> None:
        """Send the rest."""
        self._producer.flush(4.0)
        self._stop.set()
        self._thread.join(2.0)

    def _enqueue(
        self,
        topic: str,
        key: bytes | None,
        value: bytes,
        batch: _Batch,
        give_up: float,
    ) -> None:
        self._producer.enqueue(
            topic,
            max(0.0, give_up - time.monotonic()),
            pause=time.sleep,
            value=value,
            key=key,
            on_delivery=batch.delivered,
        )

    def _serve(self) -> None:
        while not self._stop.is_set():
            self._producer.poll(0.1)


def _options(settings: MeshSettings, confirm_s: float) -> dict[str, Any]:
    return {
        "log_level": CRITICAL,
        "error_cb": note,
        **settings.kafka_client(
            acks="all",
            enable_idempotence=True,
            linger_ms=2,
            compression_type="lz4",
            partitioner=PARTITIONER,
            message_timeout_ms=int(confirm_s * 1000),
            message_max_bytes=MESSAGE_BYTES,
            reconnect_backoff_max_ms=500,
            queue_buffering_max_messages=500_000,
        ),
    }
