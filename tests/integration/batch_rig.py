"""Stands in for ingest and for users of the batch layer: writes packs, barriers and files as ingest
would, and what a sloppy world adds.
"""

from __future__ import annotations

import hashlib
import random
import time
from typing import Any

import msgspec
import pyarrow as pa
from confluent_kafka import Producer
from pyspark import SparkContext
from pyspark.sql import SparkSession

from schemas import packs, topics
from schemas.events import (
    EpochSealed,
    FileAccepted,
    FileRef,
    RetrainRequested,
    SealRequested,
    ViewPublished,
)
from twinstream.define import Pipeline, Source
from twinstream.mesh.events import EventPublisher
from twinstream.mesh.object_store import ObjectStore
from twinstream.mesh.settings import MeshSettings

HOUR = 3_600_000_000
START = 1_381_000_000_000_000
COUNTRIES = ("DE", "FR", "NL", None)


class World:
    """Records, the log and the files of the shop example."""

    def __init__(self, settings: MeshSettings, pipeline: Pipeline, seed: int = 7) -> None:
        self.settings, self.pipeline, self.random = settings, pipeline, random.Random(seed)
        self.store = ObjectStore(settings)
        self.events = EventPublisher(settings, "/test")
        self.high: dict[tuple[str, int], int] = {}
        self.made = 0
        self._producer = Producer(settings.kafka_client())

    def visit(self, hours: float, number: int | None = None) -> dict[str, Any]:
        """A visit some hours after the start; `number` fixes its id."""
        self.made += 1
        name = self.made if number is None else number
        return {
            "visit_id": f"v{name}",
            "shopper": f"s{int(self.random.paretovariate(0.8)) % 40}",
            "country": self.random.choice(COUNTRIES),
            "page": self.random.choice(["home", "cart", "help"]),
            "visited_at": START + int(hours * HOUR),
            "seconds": self.random.choice([None, 3, 40, 500]),
            "mobile": self.random.random() < 0.5,
        }

    def order(
        self, hours: float, visit: dict[str, Any] | None = None, number: int | None = None
    ) -> dict[str, Any]:
        """An order; of a visit, if one is given."""
        self.made += 1
        name = self.made if number is None else number
        return {
            "order_id": f"o{name}",
            "visit_id": visit and visit["visit_id"],
            "shopper": visit["shopper"] if visit else f"s{name % 40}",
            "country": self.random.choice(COUNTRIES),
            "ordered_at": START + int(hours * HOUR),
            "amount": round(self.random.uniform(1, 90), 2),
            "items": self.random.randint(1, 5),
        }

    def session(
        self, first_hour: float, hours: float, count: int
    ) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Visits at random moments and the orders that some of them lead to, soon or too late."""
        visits = [self.visit(first_hour + self.random.random() * hours) for _ in range(count)]
        after = {0: 0.2, 1: 0.9, 2: 3.0}
        orders = [
            self.order(visit_hours(v) + after[i % 3], v) for i, v in enumerate(visits) if i % 2
        ]
        return visits, orders

    def file(
        self, source: str, rows: list[dict[str, Any]], *, form: str = "jsonl", extra: bytes = b""
    ) -> FileAccepted:
        """Put a file on S3 and announce that it was accepted; `extra` bytes are appended to JSON
        lines.
        """
        data = b"\n".join(msgspec.json.encode(row) for row in rows) + extra
        if form == "parquet":
            sink = pa.BufferOutputStream()
            import pyarrow.parquet as pq

            pq.write_table(pa.Table.from_pylist(rows), sink, row_group_size=50)
            data = sink.getvalue().to_pybytes()
        return self.put(source, data, form)

    def put(self, source: str, data: bytes, form: str) -> FileAccepted:
        """Put bytes on S3 and announce that they were accepted as a file."""
        uri = f"s3://{self.settings.raw_bucket}/{source}/{hashlib.sha256(data).hexdigest()[:8]}-{self.made}.{form}"
        version = self.store.put_uri(uri, data) or ""
        accepted = FileAccepted(
            source=source,
            file=FileRef(uri=uri, sha256=hashlib.sha256(data).hexdigest(), version_id=version),
            format=form,
            accepted_at_us=time.time_ns() // 1000,
        )
        self.events.publish(accepted)
        return accepted

    def log(
        self,
        source: str,
        rows: list[dict[str, Any]],
        *,
        per_pack: int = 7,
        late_us: int = 0,
        again: int = 0,
    ) -> None:
        """Append rows to the log in packs, spread over its partitions;
        the last `again` packs of each partition are written twice.
        """
        for partition in range(self.settings.partitions):
            mine = rows[partition :: self.settings.partitions]
            starts = range(0, len(mine), per_pack)
            messages = [
                self._pack(self.pipeline.source(source), partition, mine[i : i + per_pack], late_us)
                for i in starts
            ]
            for message in [*messages, *(messages[-again:] if again else [])]:
                self._send(source, partition, message)

    def hole(self, source: str, partition: int, raws: int) -> None:
        """A pack without rows: raw records that were dead_letters."""
        first = self.high.get((source, partition), -1) + 1
        self.high[source, partition] = first + raws - 1
        header = packs.PackHeader(
            kind=packs.PACK,
            epoch=0,
            rows=0,
            raw_first=first,
            raw_last=first + raws - 1,
            raw_high=first + raws - 1,
        )
        self._send(source, partition, packs.encode_pack(header, None))

    def foreign(self, source: str) -> None:
        """Messages in a log that ingest did not write."""
        for partition in range(self.settings.partitions):
            for value in (b"", b"x" * 200, b"\xff" * 96):
                self._send(source, partition, value)

    def lie(self) -> int:
        """Messages on the control topics that nobody can believe; how many."""
        place = {"source": "visits", "partition": 0, "offset": 1, "raw_high": 1}
        lies = [
            EpochSealed(epoch=1_000_000, **place),
            RetrainRequested(model="will-buy", reason="", requested_at_us=time.time_ns()),
        ]  # type: ignore[arg-type]
        for event in lies:
            self.events.publish(event)
        raw = [
            (topics.topic_of(kind), value)
            for kind in (FileAccepted, ViewPublished, SealRequested)
            for value in (b"{", b"\xff", b"null", b"[" * 5000)
        ]
        for topic, value in raw:
            self._producer.produce(topic, value, headers=[("ce_type", b"SealRequested")])
        self._producer.flush(30)
        return len(lies) + len(raw)

    def seal(self, epoch: int) -> None:
        """Answer a seal request: barriers into every partition of every log, twice,
        as a woken worker would.
        """
        for source in self.pipeline.sources:
            for partition in range(self.settings.partitions):
                high = self.high.get((source.name, partition), -1)
                header = packs.PackHeader(
                    kind=packs.BARRIER, epoch=epoch, rows=0, raw_first=0, raw_last=-1, raw_high=high
                )
                for _ in range(2):
                    offset = self._send(source.name, partition, packs.encode_pack(header, None))
                    self.events.publish(
                        EpochSealed(
                            epoch=epoch,
                            source=source.name,
                            partition=partition,
                            offset=offset,
                            raw_high=-1,
                        )
                    )

    def wish(self) -> None:
        self.events.publish(SealRequested())

    def _pack(
        self, source: Source, partition: int, rows: list[dict[str, Any]], late_us: int
    ) -> bytes:
        first = self.high.get((source.name, partition), -1) + 1
        self.high[source.name, partition] = last = first + len(rows) - 1
        stored = [
            {n: round(v * 100) if n == "amount" else v for n, v in row.items()} for row in rows
        ]
        known = [row[source.known_at] + late_us for row in stored]
        for raw, row in enumerate(stored):
            row |= {packs.RAW: first + raw, packs.KNOWN: max(known)}
        batch = pa.RecordBatch.from_pylist(stored, schema=source.pack_schema)
        header = packs.PackHeader(
            kind=packs.PACK,
            epoch=0,
            rows=len(rows),
            raw_first=first,
            raw_last=last,
            raw_high=last,
            known_max_us=max(known),
        )
        return packs.encode_pack(header, batch)

    def _send(self, source: str, partition: int, value: bytes) -> int:
        """Write one message to a log; return its offset."""
        at: list[int] = []
        self._producer.produce(
            topics.records_accepted(source),
            value,
            partition=partition,
            on_delivery=lambda _, m: at.append(m.offset()),
        )
        self._producer.flush(30)
        return at[0]


def visit_hours(visit: dict[str, Any]) -> float:
    return (visit["visited_at"] - START) / HOUR


def end_spark() -> None:
    """End this process's Spark and its JVM: what that remembers of one mesh's engines (addresses,
    file systems) is wrong for the next.
    """
    session, gateway = SparkSession.getActiveSession(), SparkContext._gateway
    if session is not None:
        session.stop()
    if gateway is not None:
        gateway.shutdown()
        gateway.proc.stdin.close()
        gateway.proc.wait(30)
    SparkContext._gateway = SparkContext._jvm = None
