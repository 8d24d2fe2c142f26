"""Freshness: from sending a record to its being readable in the view, over the whole chain;
and the same while epochs land.

`python -m benchmarks.freshness [records a second] [seconds]`: every record is timed until its raw
offset is in the view's position. Then two epochs are sealed, one after the other:
Spark folds them beside the chain, on the same cores, until their bases serve.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from confluent_kafka import Message, Producer

from benchmarks.payments import PARTITIONER, payment
from benchmarks.record import record
from deploy.local.mesh import EmbeddedMesh
from predict_svc.view.opening import open_reader
from predict_svc.view.reader import ViewReader
from schemas.events import SealRequested
from schemas.topics import record_sent
from twinstream.mesh.events import EventPublisher
from twinstream.mesh.pipeline_file import load

HERE = Path(__file__).parent
SERVICES = ("ingest", "speed", "view", "batch")
BATCH_S, WARM_UP_S, ACCOUNTS, LOOK_S = 0.01, 5.0, 10_000, 0.001
EPOCHS, LAND_BOUND_S, LANDED_EVERY_S = 2, 180.0, 0.25


class Clockwork:
    """Sends a batch each 10 ms and notes, per log partition, when each batch was sent and when it
    became readable.
    """

    def __init__(self, kafka: str, reader: ViewReader, per_batch: int) -> None:
        self._producer = Producer(
            {"bootstrap.servers": kafka, "linger.ms": 1, "acks": "all", "partitioner": PARTITIONER}
        )
        self._reader, self._per_batch = reader, per_batch
        self._waiting: dict[int, deque[tuple[int, float]]] = {}
        self._fresh_ms: list[float] = []
        self._dice, self._number = random.Random(3), 0
        self._due = time.perf_counter()

    def run(self, until: Callable[[], bool]) -> dict[str, Any]:
        """Sends and looks until told; returns how fresh what became readable meanwhile was."""
        self._fresh_ms.clear()
        while not until():
            self._send()
            self._due += BATCH_S
            while time.perf_counter() < self._due:
                self._look()
                time.sleep(LOOK_S)
        p50, p90, p99, most = np.percentile(self._fresh_ms, [50, 90, 99, 100]).round(2).tolist()
        return {"timed": len(self._fresh_ms), "p50": p50, "p90": p90, "p99": p99, "max": most}

    def _send(self) -> None:
        """One batch; its clock starts when it is due, so that a sender that is held up hides
        nothing.
        """
        now_us = time.time_ns() // 1000
        sent_at = self._due

        def delivered(error: object, message: Message) -> None:
            if error is not None:
                raise RuntimeError(f"Kafka refused a payment: {error}")
            self._waiting.setdefault(message.partition(), deque()).append(
                (message.offset(), sent_at)
            )

        for _ in range(self._per_batch):
            self._number += 1
            key, value = payment(self._number, ACCOUNTS, self._dice, now_us)
            self._producer.produce(record_sent("payments"), value, key, on_delivery=delivered)

    def _look(self) -> None:
        """Takes what has become readable."""
        self._producer.poll(0)
        positions = self._reader.positions()
        now = time.perf_counter()
        for partition, waiting in self._waiting.items():
            high = min(p.raw.get(partition, -1) for p in positions.values())
            while waiting and waiting[0][0] <= high:
                self._fresh_ms.append((now - waiting.popleft()[1]) * 1000)


def main(rate: int = 5_000, seconds: int = 60) -> None:
    """Measures once and records the result."""
    with (
        tempfile.TemporaryDirectory(prefix="twinstream-bench-") as folder,
        EmbeddedMesh(folder, HERE / "pipeline.py", SERVICES) as mesh,
    ):
        reader = open_reader(mesh.settings, load(mesh.settings.pipeline).view("by-account"))
        work = Clockwork(mesh.settings.kafka, reader, round(rate * BATCH_S))
        wishes = EventPublisher(
            mesh.settings, "/benchmarks"
        )  # it takes half a second to connect, in which nothing would be sent
        work.run(_passed(WARM_UP_S))
        alone = work.run(_passed(seconds))
        landing = [_while_landing(wishes, work, reader, epoch) for epoch in range(1, EPOCHS + 1)]
    record(
        "freshness",
        {
            "records_per_s": rate,
            "fresh_ms": alone,
            "while_landing_fresh_ms": {f"epoch_{n}": found for n, found in enumerate(landing, 1)},
            "look_every_ms": LOOK_S * 1000,
        },
    )


def _while_landing(
    wishes: EventPublisher, work: Clockwork, reader: ViewReader, epoch: int
) -> dict[str, Any]:
    """Freshness from the wish for the epoch's end until its base serves in every partition (for a
    second epoch this includes the training set of the first, which the batch layer builds before).
    """
    started = time.perf_counter()
    wishes.publish(
        SealRequested(reason="benchmark", requested_at_us=time.time_ns() // 1000), wait=False
    )
    found = work.run(_landed(reader, epoch, started))
    return {**found, "seconds": round(time.perf_counter() - started, 1)}


def _passed(seconds: float) -> Callable[[], bool]:
    end = time.perf_counter() + seconds
    return lambda: time.perf_counter() >= end


def _landed(reader: ViewReader, epoch: int, started: float) -> Callable[[], bool]:
    """Looks a few times a second only: looking costs time too."""
    looked = 0.0

    def landed() -> bool:
        nonlocal looked
        now = time.perf_counter()
        if now - started > LAND_BOUND_S:
            raise TimeoutError(f"epoch {epoch} has not landed within {LAND_BOUND_S} s")
        if now - looked < LANDED_EVERY_S:
            return False
        looked = now
        return epoch in reader.bases()

    return landed


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
