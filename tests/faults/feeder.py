"""Sends the seeded load into a running mesh, live, over HTTP and as files, and remembers what was
acknowledged.
"""

from __future__ import annotations

import hashlib
import random
import threading
import time
import urllib.error
import urllib.request
from typing import Any

from confluent_kafka import KafkaException, Producer

from schemas.events import DataArrived, FileRef
from schemas.topics import record_sent
from tests.faults.load import Kind, Load, Sent
from twinstream.mesh.events import EventPublisher
from twinstream.mesh.object_store import ObjectStore
from twinstream.mesh.settings import MeshSettings

TICK_S = 0.1
RATES = (0.0, 0.3, 1.0, 1.0, 4.0)
"""By how much the mean rate is multiplied, for some seconds each."""
HTTP_ROWS = 5
FILE_ROWS = 150


class Feeder:
    """A thread of its own; `pause` and `resume` it from another."""

    def __init__(
        self, settings: MeshSettings, seed: int, rate_per_s: float, limit: int, http: str = ""
    ) -> None:
        self._settings, self._http, self._rate, self._limit = settings, http, rate_per_s, limit
        now_us = time.time_ns() // 1000
        self._load, self._web, self._filed = (Load(seed * 10 + n, now_us) for n in range(3))
        self._dice = random.Random(seed)
        self._producer = _producer(settings)
        self._recent: list[Sent] = []
        self._running, self._stopping = threading.Event(), threading.Event()
        self._lock = threading.Lock()
        self.acknowledged: dict[tuple[str, int], dict[int, Kind]] = {}
        """(source, partition) -> raw offset -> what kind of record;
        only those that Kafka acknowledged.
        """
        self.over_http: set[tuple[str, str]] = set()
        """(source, id) of records that the HTTP interface acknowledged."""
        self.files: list[str] = []
        self.sent = self.failed = 0
        self._thread = threading.Thread(target=self._run, name="feeder", daemon=True)

    def start(self) -> None:
        self._running.set()
        self._thread.start()

    def pause(self) -> None:
        """Send no more, and return when Kafka has answered for everything."""
        self._running.clear()
        with self._lock:
            left = self._producer.flush(120)
        if left:
            raise TimeoutError(f"Kafka did not answer for {left} records within 120 s")

    def resume(self) -> None:
        self._running.set()

    def stop(self) -> None:
        self._stopping.set()
        self._running.set()
        if self._thread.ident is not None:
            self._thread.join(30)

    def send(self, n: int) -> None:
        """Send so many records now, from the caller's thread."""
        with self._lock:
            for _ in range(n):
                self._send(self._load.next())

    def publish_file(self, store: ObjectStore, events: EventPublisher) -> str:
        """A file of visits on S3, announced; some of its records were sent live before,
        a few are broken. Returns its URI.
        """
        rows = [
            sent
            for _ in range(FILE_ROWS)
            if (sent := self._filed.next()).source == "visits" and _is_line(sent)
        ]
        with self._lock:
            rows += self._dice.sample(self._recent, min(20, len(self._recent)))
        self._dice.shuffle(rows)
        data = b"\n".join(sent.value or b"" for sent in rows) + b"\n"
        uri = f"s3://{self._settings.raw_bucket}/visits/file-{len(self.files):05d}.jsonl"
        version = store.put_uri(uri, data)
        ref = FileRef(
            uri=uri,
            sha256=hashlib.sha256(data).hexdigest(),
            version_id=version or "",
            size_bytes=len(data),
        )
        events.publish(
            DataArrived(
                source="visits", files=[ref], format="jsonl", arrived_at_us=time.time_ns() // 1000
            ),
            "visits",
        )
        self.files.append(uri)
        return uri

    def _run(self) -> None:
        factor, until = 1.0, 0.0
        while not self._stopping.is_set():
            self._running.wait()
            if time.monotonic() > until:
                factor, until = (
                    self._dice.choice(RATES),
                    time.monotonic() + self._dice.uniform(0.5, 4.0),
                )
                self._send_over_http()
            with self._lock:
                for _ in range(self._due(factor)):
                    self._send(self._load.next())
                self._producer.poll(0)
            self._stopping.wait(TICK_S)

    def _due(self, factor: float) -> int:
        wanted = self._rate * factor * TICK_S
        return (
            min(int(wanted + self._dice.random()), self._limit - self.sent)
            if self._running.is_set()
            else 0
        )

    def _send(self, sent: Sent) -> None:
        try:
            self._producer.produce(
                record_sent(sent.source),
                sent.value,
                sent.key,
                on_delivery=lambda error, m: self._answered(sent, error, m),
            )
        except BufferError:
            self._producer.poll(TICK_S)
            return
        except KafkaException as error:
            if not error.args[0].fatal():
                raise
            self._producer = _producer(
                self._settings
            )  # its order can not be kept: what was not acknowledged may be there or not
            return
        self.sent += 1
        if sent.kind is Kind.GOOD and sent.source == "visits":
            self._recent = [*self._recent[-100:], sent]

    def _answered(self, sent: Sent, error: Any, message: Any) -> None:
        if error is not None:
            self.failed += 1
            return
        self.acknowledged.setdefault((sent.source, message.partition()), {})[message.offset()] = (
            sent.kind
        )

    def _send_over_http(self) -> None:
        """A few good records; those of a request that failed may be in the log or not."""
        if not self._http or self.sent >= self._limit:
            return
        rows = [
            sent
            for _ in range(HTTP_ROWS)
            if (sent := self._web.next()).kind is Kind.GOOD and sent.source == "visits"
        ]
        request = urllib.request.Request(
            f"{self._http}/v1/records/visits",
            b"\n".join(sent.value or b"" for sent in rows),
            method="POST",
        )
        try:
            with urllib.request.urlopen(request, timeout=15) as answer:
                if answer.status == 200:
                    self.over_http |= {("visits", sent.id) for sent in rows}
        except (urllib.error.URLError, OSError):
            self.failed += len(rows)


def _producer(settings: MeshSettings) -> Producer:
    return Producer(
        settings.kafka_client(
            enable_idempotence=True,
            acks="all",
            linger_ms=5,
            partitioner="murmur2_random",
            compression_type="lz4",
            message_max_bytes=8_000_000,
            message_timeout_ms=600_000,
            log_level=0,
        )
    )


def _is_line(sent: Sent) -> bool:
    return sent.value is not None and b"\n" not in sent.value and len(sent.value) < 10_000
