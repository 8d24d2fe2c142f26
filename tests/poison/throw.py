"""Throws poison at a running mesh of the shop example, and counts what was thrown:
live records, files, control topics, HTTP routes.
"""

from __future__ import annotations

import http.client
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import msgspec
from confluent_kafka import Producer

from schemas.events import DataArrived, FileRef
from schemas.topics import CONTROL_TOPICS, record_sent
from tests.e2e.shop import Shop
from tests.poison import files, records
from tests.poison.corpus import Spoilt, spoilt_events
from tests.poison.requests import OddRequest, odd_requests
from twinstream.define import Source
from twinstream.mesh.events import EventPublisher
from twinstream.mesh.object_store import ObjectStore

FILES_AT_ONCE = 10
BAD_URIS = (
    "",
    "s3://",
    "s3:///",
    "http://127.0.0.1:9/x.csv",
    "file:///etc/passwd",
    "s3://a b/x.csv",
    "s3://raw/../x.csv",
    "s3://nowhere-at-all/x.csv",
    "S3://raw/x.csv",
    "s3a://",
    "\x00",
    "s3://raw/" + "k" * 2000 + ".csv",
    "s3://raw/missing.csv",
    "s3://RAW/x.csv",
    "ftp://x/y",
    "a" * 100_000,
)
Thrown = Counter[str]


class Throwing:
    """`seed` decides everything but the times. What must come back is kept beside the counts."""

    def __init__(self, shop: Shop, seed: int) -> None:
        self._shop, self._seed, self._dice = shop, seed, random.Random(seed)
        self.thrown: Thrown = Counter()
        self.must_count: dict[str, set[str]] = {"visits": set(), "orders": set()}
        self.announced: list[str] = []
        """URIs whose fate must be known: accepted, or a dead letter."""
        self.unbelievable: list[tuple[str, int]] = []
        """(topic, offset) of control messages that some reader must make a dead letter."""
        self.statuses: Counter[int] = Counter()

    def live(self, n: int) -> None:
        """Odd records of both sources, half each, into the raw topics."""
        producer = Producer(
            self._shop.mesh.settings.kafka_client(linger_ms=5, message_max_bytes=8_000_000)
        )
        for number, source in enumerate(_sources(self._shop)):
            odd = records.poison(source, self._good(source), self._seed + number)
            for key, value in islice(odd, n // 2):
                _produce(producer, record_sent(source.name), key=key, value=value)
                self.thrown["live records"] += 1
        producer.flush(60)

    def odd_files(self, n: int) -> None:
        """Odd files of both sources, announced some at a time among URIs that are none."""
        store, events = (
            ObjectStore(self._shop.mesh.settings),
            EventPublisher(self._shop.mesh.settings, "/tests"),
        )
        for number, source in enumerate(_sources(self._shop)):
            made = files.odd_files(source, self._good(source), self._seed + number)
            for batch in _batches(islice(made, n // 2), FILES_AT_ONCE):
                refs = [self._put(store, source, odd) for odd in batch]
                bad = FileRef(uri=self._dice.choice(BAD_URIS), sha256="")
                events.publish(
                    DataArrived(
                        source=source.name, files=[*refs, bad], arrived_at_us=time.time_ns() // 1000
                    ),
                    source.name,
                )
                self.thrown["files"] += len(batch)
                self.thrown["URIs that name no file"] += 1

    def control(self, n: int) -> None:
        """Spoilt events on every control topic, the same number on each."""
        producer = Producer(
            self._shop.mesh.settings.kafka_client(linger_ms=5, message_max_bytes=8_000_000)
        )
        topics = [topic for topic in CONTROL_TOPICS if "dead-letter" not in topic.name]
        for number, topic in enumerate(topics):
            for spoilt in islice(spoilt_events(topic.name, self._seed + number), n // len(topics)):
                _produce(
                    producer,
                    topic.name,
                    value=spoilt.value,
                    headers=list(spoilt.headers),
                    on_delivery=self._noted(spoilt),
                )
                self.thrown["control events"] += 1
        producer.flush(60)

    def requests(self, n: int) -> None:
        """Odd requests at the three doors, each on a connection of its own."""
        doors = ("ingest", "predict", "monitor")
        for number, door in enumerate(doors):
            for odd in islice(odd_requests(door, self._seed + number), n // len(doors)):
                self.statuses[_ask(self._shop.mesh.addresses[door], odd)] += 1
                self.thrown["HTTP requests"] += 1

    def _noted(self, spoilt: Spoilt) -> Callable[[Any, Any], None]:
        def delivered(error: Any, message: Any) -> None:
            if error is None and spoilt.certain:
                self.unbelievable.append((message.topic(), message.offset()))

        return delivered

    def _put(self, store: ObjectStore, source: Source, odd: files.OddFile) -> FileRef:
        uri = f"s3://{self._shop.mesh.settings.raw_bucket}/{source.name}/poison/{odd.name}"
        version = store.put_uri(uri, odd.data)
        self.must_count[source.name] |= set(odd.must_count)
        self.announced.append(uri)
        return FileRef(uri=uri, sha256="", version_id=version or "")

    def _good(self, source: Source) -> Callable[[], records.Record]:
        """A right record of the last hour, with an id of its own."""
        known = self._shop.visits if source.name == "visits" else self._shop.orders

        def make() -> records.Record:
            return self._dice.choice(known) | {source.id_fields[0]: f"p-{uuid4().hex}"}

        return make


def _sources(shop: Shop) -> tuple[Source, ...]:
    return shop.pipeline.sources


def _produce(producer: Producer, topic: str, **message: Any) -> None:
    while True:
        try:
            producer.produce(topic, **message)
        except BufferError:
            producer.poll(0.1)
        else:
            producer.poll(0)
            return


def _batches(items: Iterable[files.OddFile], size: int) -> Iterator[list[files.OddFile]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def _ask(address: str, odd: OddRequest) -> int:
    """The status; 0 where the door hung up, which it may."""
    where = urlsplit(address)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=30)
    try:
        connection.request(odd.method, odd.path, odd.body, dict(odd.headers))
        answer = connection.getresponse()
        answer.read()
    except (http.client.HTTPException, ConnectionError, ValueError):
        return 0
    else:
        return answer.status
    finally:
        connection.close()


def figures(thrown: Thrown) -> dict[str, int]:
    """By kind, and all."""
    return {**msgspec.to_builtins(dict(thrown)), "all": sum(thrown.values())}
