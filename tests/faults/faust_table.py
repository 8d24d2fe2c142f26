"""The same load and kills for a plain Faust table counter, started again by a few lines:
how many of its counts are wrong.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random

import msgspec
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from benchmarks.peers.faust_counter import APP, CHANGELOG, EVENTS, PARTITIONS
from deploy.local.mesh import EmbeddedMesh
from tests.faults.load import Kind, Load
from tests.faults.report import FaustTable
from twinstream.mesh.settings import MeshSettings

BOUND_S = 300.0
SETTLED_S = 8.0
"""Faust commits every 2.8 seconds; after so long without a change everything is counted that will
be.
"""


class Restarted:
    """The counter's process, started again when it was killed."""

    def __init__(self, broker: str, folder: Path) -> None:
        self._argv = [sys.executable, "-m", "benchmarks.peers.faust_counter", broker, str(folder)]
        self._log = (folder / "counter.log").open("ab")
        self._process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self._argv, stdout=self._log, stderr=self._log)

    def kill(self) -> None:
        """SIGKILL and a new one."""
        self.end()
        self._process = self._start()

    def keep(self) -> None:
        """A new one if it ended by itself."""
        if self._process.poll() is not None:
            self._process = self._start()

    def end(self) -> None:
        self._process.kill()
        self._process.wait()


def run_table(seed: int, kills: int, records: int) -> FaustTable:
    """Sends `records` while the counter is killed `kills` times, waits until all is counted,
    and compares.
    """
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="twinstream-faust-") as folder,
        EmbeddedMesh(folder, engines=["kafka"]) as mesh,
    ):
        _topics(mesh.settings)
        counter = Restarted(mesh.settings.kafka, Path(folder))
        try:
            _feed(mesh.settings, counter, Random(seed), seed, kills, records)
            _until_counted(mesh.settings, counter)
        finally:
            counter.end()
        truth, counted = _truth(mesh.settings), _counted(mesh.settings)
    wrong = {key for key in truth.keys() | counted.keys() if truth[key] != counted[key]}
    return FaustTable(
        records=sum(truth.values()),
        kills=kills,
        keys=len(truth),
        wrong=len(wrong),
        too_high=sum(counted[k] > truth[k] for k in wrong),
        too_low=sum(counted[k] < truth[k] for k in wrong),
        counted=sum(counted.values()),
        seconds=round(time.monotonic() - began, 1),
    )


def _topics(settings: MeshSettings) -> None:
    admin = AdminClient(settings.kafka_client())
    asked = admin.create_topics(
        [
            NewTopic(EVENTS, PARTITIONS, 1),
            NewTopic(CHANGELOG, PARTITIONS, 1, config={"cleanup.policy": "compact"}),
            NewTopic(f"{APP}-__assignor-__leader", 1, 1),
        ]
    )
    for created in asked.values():
        created.result(30)


def _feed(
    settings: MeshSettings, counter: Restarted, dice: Random, seed: int, kills: int, records: int
) -> None:
    """Bursts of records; between two of them a kill, some seconds after the counter began to count
    again.
    """
    producer = Producer(settings.kafka_client(enable_idempotence=True, acks="all", linger_ms=5))
    load = Load(seed, time.time_ns() // 1000, poison=0.0)
    burst = records // (kills + 1)
    for turn in range(kills + 1):
        for _ in range(burst):
            sent = load.next()
            assert sent.kind is not Kind.POISON
            producer.produce(EVENTS, sent.value, sent.key)
            producer.poll(0)
        assert producer.flush(60) == 0
        before = _changes(settings)
        _wait(lambda before=before: _changes(settings) > before, counter, "the counter to count")  # type: ignore[misc]
        time.sleep(dice.uniform(0.0, 4.0))
        if turn < kills:
            counter.kill()


def _until_counted(settings: MeshSettings, counter: Restarted) -> None:
    """Everything is committed, and the changelog stands still."""
    consumer = Consumer(settings.kafka_client(group_id=APP))
    ends = {
        p: consumer.get_watermark_offsets(TopicPartition(EVENTS, p), timeout=10)[1]
        for p in range(PARTITIONS)
    }

    def committed() -> bool:
        return all(
            tp.offset >= ends[tp.partition]
            for tp in consumer.committed([TopicPartition(EVENTS, p) for p in ends], timeout=10)
        )

    _wait(committed, counter, "all events to be committed")
    before, since = _changes(settings), time.monotonic()
    while time.monotonic() - since < SETTLED_S:
        time.sleep(0.5)
        if _changes(settings) != before:
            before, since = _changes(settings), time.monotonic()
    consumer.close()


def _wait(reached: object, counter: Restarted, what: str) -> None:
    give_up = time.monotonic() + BOUND_S
    while not reached():  # type: ignore[operator]
        counter.keep()
        if time.monotonic() > give_up:
            raise TimeoutError(f"waited {BOUND_S} s for {what}")
        time.sleep(0.2)


def _changes(settings: MeshSettings) -> int:
    """How many entries the changelog has."""
    consumer = Consumer(settings.kafka_client(group_id="twinstream-fault-ends"))
    try:
        return sum(
            consumer.get_watermark_offsets(TopicPartition(CHANGELOG, p), timeout=10)[1]
            for p in range(PARTITIONS)
        )
    finally:
        consumer.close()


def _truth(settings: MeshSettings) -> Counter[str]:
    """Events by key, as Kafka has them."""
    return _messages(settings, EVENTS, lambda counts, key, _: counts.update([key]))


def _counted(settings: MeshSettings) -> Counter[str]:
    """The newest entry of each key of the changelog."""
    return _messages(
        settings,
        CHANGELOG,
        lambda counts, key, value: counts.update(
            {key: int(msgspec.json.decode(value)) - counts[key]}
        ),
    )


def _messages(settings: MeshSettings, topic: str, take: object) -> Counter[str]:
    counts: Counter[str] = Counter()
    for key, value in keyed_messages(settings, topic):
        take(counts, key, value)  # type: ignore[operator]
    return counts


def keyed_messages(settings: MeshSettings, topic: str) -> list[tuple[str, bytes]]:
    """(key, value) of all messages of a topic; a key that is JSON text is unquoted."""
    consumer = Consumer(
        settings.kafka_client(group_id="twinstream-fault-read", enable_auto_commit=False)
    )
    found: list[tuple[str, bytes]] = []
    ends: dict[int, int] = {}
    for p in range(PARTITIONS):
        low, high = consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=10)
        ends |= {p: high} if high > low else {}
    consumer.assign([TopicPartition(topic, p, 0) for p in ends])
    give_up = time.monotonic() + BOUND_S
    while ends and time.monotonic() < give_up:
        message = consumer.poll(1.0)
        if message is not None and message.error() is None:
            found.append((message.key().decode().strip('"'), message.value()))
            if message.offset() + 1 >= ends.get(message.partition(), 0):
                ends.pop(message.partition(), None)
    consumer.close()
    if ends:
        raise TimeoutError(f"{topic} could not be read to its end in {BOUND_S} s")
    return found
