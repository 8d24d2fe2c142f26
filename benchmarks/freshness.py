"""Freshness: from sending a record to its being readable in the view, over the whole chain.

`python -m benchmarks.freshness [records a second] [seconds]`: every batch of 10 ms is timed until its raw offsets are in the view's position.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections import deque
from pathlib import Path

import numpy as np
from confluent_kafka import Message, Producer

from benchmarks.payments import payment
from benchmarks.record import record
from deploy.local.mesh import EmbeddedMesh
from predict_svc.view.reader import ViewReader
from schemas.topics import record_sent
from twinstream.mesh.pipeline_file import load

HERE = Path(__file__).parent
SERVICES = ("ingest", "speed", "view")
BATCH_S, WARM_UP_S, ACCOUNTS, LOOK_S = 0.01, 5.0, 10_000, 0.001


class Clockwork:
    """Sends a batch each 10 ms and notes, per log partition, when each batch was sent and when it became readable."""

    def __init__(self, kafka: str, reader: ViewReader, per_batch: int) -> None:
        self._producer = Producer({"bootstrap.servers": kafka, "linger.ms": 0, "acks": "all"})
        self._reader, self._per_batch = reader, per_batch
        self._waiting: dict[int, deque[tuple[int, float]]] = {}
        self.fresh_ms: list[float] = []
        self._dice, self._number = random.Random(3), 0

    def send(self) -> None:
        """One batch; the clock starts before the first produce."""
        sent_at, now_us = time.perf_counter(), time.time_ns() // 1000

        def delivered(error: object, message: Message) -> None:
            if error is None:
                self._waiting.setdefault(message.partition(), deque()).append((message.offset(), sent_at))

        for _ in range(self._per_batch):
            self._number += 1
            key, value = payment(self._number, ACCOUNTS, self._dice, now_us)
            self._producer.produce(record_sent("payments"), value, key, on_delivery=delivered)

    def look(self) -> None:
        """Takes what has become readable."""
        self._producer.poll(0)
        positions = self._reader.positions()
        now = time.perf_counter()
        for partition, waiting in self._waiting.items():
            high = min(p.raw.get(partition, -1) for p in positions.values())
            while waiting and waiting[0][0] <= high:
                self.fresh_ms.append((now - waiting.popleft()[1]) * 1000)


def main(rate: int = 5_000, seconds: int = 30) -> None:
    """Measures once and records the result."""
    with tempfile.TemporaryDirectory(prefix="twinstream-bench-") as folder, EmbeddedMesh(
        folder, HERE / "pipeline.py", SERVICES, engines=("kafka", "s3")
    ) as mesh:
        reader = ViewReader(mesh.settings, load(mesh.settings.pipeline).view("by-account"))
        work = Clockwork(mesh.settings.kafka, reader, round(rate * BATCH_S))
        started = due = time.perf_counter()
        skip = 0
        while due - started < seconds + WARM_UP_S:
            work.send()
            due += BATCH_S
            skip = len(work.fresh_ms) if due - started < WARM_UP_S else skip
            while time.perf_counter() < due:
                work.look()
                time.sleep(LOOK_S)
        fresh = np.array(work.fresh_ms[skip:])
    p50, p90, p99 = np.percentile(fresh, [50, 90, 99]).round(2).tolist()
    record("freshness", {
        "records_per_s": rate, "timed": len(fresh), "fresh_ms": {"p50": p50, "p90": p90, "p99": p99}, "look_every_ms": LOOK_S * 1000,
    })  # fmt: skip


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
