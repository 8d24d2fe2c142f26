"""What every Carrier does with what is Carried, on a real broker and in processes that may be
killed.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from confluent_kafka import ConsumerGroupTopicPartitions
from confluent_kafka.admin import AdminClient

from schemas.topics import data_topics, records_accepted
from tests.integration.carrier_child import Told
from twinstream.mesh.exit_codes import WORKER_FAILED
from twinstream.mesh.kafka.producer import KafkaProducer
from twinstream.mesh.settings import MeshSettings
from twinstream.mesh.topics_admin import MAX_MESSAGE_BYTES, ensure_topics

pytestmark = pytest.mark.engine
ROOT = Path(__file__).parents[2]
BOUND_S = 90.0
KINDS = ("faust", "confluent")
GROUPS = {"faust": "twinstream-{}", "confluent": "twinstream-{}-confluent"}
N = 40


class Child:
    """A process that carries, and what it has said."""

    def __init__(self, told: Told) -> None:
        self.said: list[dict[str, Any]] = []
        command = [
            sys.executable,
            "-m",
            "tests.integration.carrier_child",
            msgspec.json.encode(told).decode(),
        ]
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith(b'{"'):
                self.said.append(msgspec.json.decode(line))
            else:
                print(line.decode(errors="replace").rstrip())  # its log, shown when a test fails

    def tell(self, name: str, value: object = None) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(msgspec.json.encode([name, value]) + b"\n")
        self.process.stdin.flush()

    def handled(self, partition: int) -> list[int]:
        return [h[1] for h in self.all("handled") if h[0] == partition]

    def all(self, what: str) -> list[Any]:
        return [each[what] for each in list(self.said) if what in each]

    def until(self, reached: Callable[[], object]) -> None:
        give_up = time.monotonic() + BOUND_S
        while not reached():
            assert time.monotonic() < give_up, self.said[-20:]
            assert self.process.poll() is None, self.said[-20:]
            time.sleep(0.02)

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


class Bench:
    """A topic of two partitions, and the children that read it."""

    def __init__(self, settings: MeshSettings, kind: str) -> None:
        self.settings = settings
        self.kind = kind
        self.name = f"carried-{uuid4().hex[:8]}"
        self.topic = records_accepted(self.name)
        ensure_topics(settings, data_topics([self.name], []))
        self._producer = KafkaProducer(settings.kafka_client(enable_idempotence=True))
        self.children: list[Child] = []

    def write(self, first: int, count: int, partitions: tuple[int, ...] = (0, 1)) -> None:
        for number in range(first, first + count):
            for partition in partitions:
                self._producer.enqueue(
                    self.topic, 30.0, value=str(number).encode(), partition=partition
                )
        assert self._producer.flush(30) == 0

    def child(self, instance: str = "1", **more: Any) -> Child:
        told = Told(
            kafka=self.settings.kafka,
            data=self.settings.data,
            carrier=self.kind,
            name=self.name,
            instance=instance,
            topic=self.topic,
            **more,
        )
        self.children.append(Child(told))
        return self.children[-1]

    def committed(self) -> list[int]:
        """What the broker holds of the group's offsets."""
        group = GROUPS[self.kind].format(self.name)
        admin = AdminClient(self.settings.kafka_client())
        asked = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])
        found = asked[group].result(30).topic_partitions or []
        return [each.offset for each in found if each.offset >= 0]


@pytest.fixture(params=KINDS)
def bench(request: pytest.FixtureRequest, kafka_settings: MeshSettings) -> Iterator[Bench]:
    made = Bench(kafka_settings, request.param)
    yield made
    for child in made.children:
        child.end()


def test_messages_come_in_order_from_where_the_worker_says(bench: Bench) -> None:
    bench.write(0, N)
    child = bench.child(starts={0: 10})
    child.until(lambda: len(child.handled(0)) == N - 10 and len(child.handled(1)) == N)
    assert child.handled(0) == list(range(10, N))
    assert child.handled(1) == list(range(N))
    assert all(h[2] == str(h[1]) for h in child.all("handled"))
    child.tell("seek", {"0": 5})
    child.until(lambda: len(child.handled(0)) == N - 10 + N - 5)
    assert child.handled(0)[N - 10 :] == list(range(5, N))
    bench.write(N, 3)
    child.until(lambda: child.handled(0)[-1] == child.handled(1)[-1] == N + 2)
    assert child.handled(1) == list(range(N + 3))
    child.tell("ends")
    child.until(lambda: child.all("first"))
    assert (child.all("first"), child.all("highwater")) == ([0], [N + 3])
    assert bench.committed() == []


def test_what_is_sent_arrives_once_and_in_order(bench: Bench) -> None:
    child = bench.child()
    child.until(lambda: child.all("assigned"))
    child.tell("too_large", MAX_MESSAGE_BYTES + 10_000)
    child.until(lambda: child.all("refused"))
    child.tell("send", [str(i) for i in range(500)])
    child.until(lambda: child.all("sent"))
    assert child.all("unconfirmed") == [0]
    child.until(lambda: len(child.handled(0)) == 500)
    assert [h[2] for h in child.all("handled")] == [str(i) for i in range(500)]


def test_nothing_is_handed_over_after_what_was_not_handled(bench: Bench) -> None:
    bench.write(0, N)
    child = bench.child(fails_at=7)
    assert child.process.wait(BOUND_S) == WORKER_FAILED
    said = [next(iter(each)) for each in child.said]
    assert said.count("failing") == 1
    assert "handled" not in said[said.index("failing") :]
    ((failed, offset),) = child.all("failing")
    assert child.handled(failed) == list(range(offset))
    assert bench.committed() == []
    again = bench.child(starts={0: 3})
    again.until(lambda: len(again.handled(0)) == N - 3 and len(again.handled(1)) == N)
    assert again.handled(0) == list(range(3, N))


def test_a_partition_that_waits_is_handled_once_it_is_sought(bench: Bench) -> None:
    bench.write(0, N)
    child = bench.child(later=[1])
    child.until(lambda: len(child.handled(0)) == N)
    assert child.handled(1) == []
    child.tell("seek", {"1": 4})
    child.until(lambda: len(child.handled(1)) == N - 4)
    assert child.handled(1) == list(range(4, N))


def test_a_partition_moves_to_a_worker_that_joins_and_back_when_it_is_killed(bench: Bench) -> None:
    bench.write(0, N)
    first = bench.child("1")
    first.until(lambda: len(first.handled(0)) + len(first.handled(1)) == 2 * N)
    second = bench.child("2")
    second.until(lambda: second.all("assigned") and len(second.all("assigned")[-1]) == 1)
    (moved,) = second.all("assigned")[-1]
    first.until(lambda: first.all("assigned")[-1] == [1 - moved])
    second.until(lambda: len(second.handled(moved)) == N)
    bench.write(N, N)
    first.until(lambda: first.handled(1 - moved)[-1] == 2 * N - 1)
    second.until(lambda: second.handled(moved)[-1] == 2 * N - 1)
    assert second.handled(1 - moved) == []
    assert first.handled(1 - moved) == list(range(2 * N))
    second.end()
    first.until(lambda: first.all("assigned")[-1] == [0, 1])
    first.until(lambda: first.handled(moved)[-1] == 2 * N - 1)
    assert first.handled(moved)[N:] == list(range(2 * N))
    assert first.handled(1 - moved) == list(range(2 * N))
    assert bench.committed() == []


def test_a_worker_that_starts_again_has_its_partitions_at_once(bench: Bench) -> None:
    bench.write(0, N)
    first = bench.child()
    first.until(lambda: len(first.handled(0)) + len(first.handled(1)) == 2 * N)
    first.end()
    again = bench.child(starts={0: N - 1, 1: N})
    again.until(lambda: again.handled(0) == [N - 1])
    assert again.all("assigned")[0] == [0, 1]
