"""A definition of its own per test, and ingest processes that a test starts, stops,
kills and waits for.
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from uuid import uuid4

import msgspec
from confluent_kafka import Consumer, Producer, TopicPartition

from schemas import packs
from schemas.topics import dead_letter, record_sent, records_accepted
from twinstream.audit.everything import log_messages, log_records
from twinstream.define.pipeline import Pipeline
from twinstream.mesh import pipeline_file, topics_admin
from twinstream.mesh.heartbeat import read_beat
from twinstream.mesh.settings import MeshSettings

BUYER = re.compile(rb'"buyer":"(b\d+)"')
DEFINITION = '''
from twinstream import Decimal, Int, Label, Model, Pipeline, Source, String, Timestamp, View, count, sum_

class Network:
    """Stands for a network that nobody trains."""

orders = Source(
    "orders-{own}", id="order", key="buyer", event_time="at",
    fields={{"order": String(), "buyer": String(), "at": Timestamp(), "amount": Decimal(2), "items": Int(optional=True)}},
)
by_buyer = View("by-buyer-{own}", orders, by="buyer", features={{"spent": sum_("amount").over("1h"), "orders": count().over("24h")}})
paid = Label("paid", orders, on="order", horizon="1h", value=lambda p: p.items > 0, missing=False)
pipeline = Pipeline("shop-{own}", models=[Model("will-pay", spine=orders, at="at", views=[by_buyer], label=paid, network=Network)])
'''


def wait_for(
    reached: Callable[[], object], what: str, bound_s: float = 60.0, every_s: float = 0.05
) -> None:
    """Poll until it is so; fails with what was waited for."""
    give_up = time.monotonic() + bound_s
    while not reached():
        assert time.monotonic() < give_up, f"not within {bound_s} s: {what}"
        time.sleep(every_s)


def order(number: int, name: str = "o") -> bytes:
    return msgspec.json.encode(
        {
            "order": f"{name}{number}",
            "buyer": f"b{number % 97}",
            "at": 1_700_000_000_000_000 + number,
            "amount": number % 1000 / 100,
            "items": number % 7,
            "unknown": "ignored",
        }
    )


class Rig:
    """One definition on a broker. `source` is its only source."""

    def __init__(self, settings: MeshSettings, env: dict[str, str], folder: Path) -> None:
        own = uuid4().hex[:8]
        path = folder / f"pipeline_{own}.py"
        path.write_text(DEFINITION.format(own=own))
        self.settings = msgspec.structs.replace(
            settings, pipeline=str(path), data=str(folder / f"data-{own}")
        )
        self.env = {**env, **self.settings.to_env()}
        self.pipeline: Pipeline = pipeline_file.load(path)
        topics_admin.ensure(self.settings, self.pipeline)
        self.source = self.pipeline.sources[0]
        self.topic = record_sent(self.source.name)
        self.processes: list[subprocess.Popen[bytes]] = []
        self.producer = Producer(
            {
                "bootstrap.servers": settings.kafka,
                "enable.idempotence": True,
                "linger.ms": 5,
                "partitioner": "murmur2_random",
                "message.max.bytes": 8_000_000,
            }
        )

    # -- processes
    # -----------------------------------------------------------------------------------------------------------------

    def start(
        self, worker: str = "", module: str = "ingest_svc", **env: str
    ) -> subprocess.Popen[bytes]:
        given = {
            **os.environ,
            "PYTHONDONTWRITEBYTECODE": "",
            **self.env,
            **env,
            **({"TWINSTREAM_INSTANCE": worker} if worker else {}),
        }
        log = Path(self.settings.data).with_suffix(f".{module}{worker}.log").open("ab")
        process = subprocess.Popen(
            [sys.executable, "-m", module], env=given, stderr=log, stdout=log
        )
        log.close()
        self.processes.append(process)
        return process

    def log_text(self) -> str:
        return "".join(path.read_text() for path in Path(self.settings.data).parent.glob("*.log"))

    def wait_ready(self, process: subprocess.Popen[bytes], name: str = "ingest") -> None:
        path = self.settings.run_folder() / f"{name}.json"

        def ready() -> bool:
            assert process.poll() is None, self.log_text()[-3000:]
            beat = read_beat(path)
            return beat is not None and beat.pid == process.pid and beat.ready

        wait_for(ready, f"{name} ready")

    def stop(self, process: subprocess.Popen[bytes]) -> int:
        process.send_signal(signal.SIGTERM)
        return process.wait(10)

    def close(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait(10)

    # -- records
    # -------------------------------------------------------------------------------------------------------------------

    def send(self, values: Iterable[bytes | None], partition: int | None = None) -> None:
        """Produce; `flush` waits for them."""
        for value in values:
            key = BUYER.search(value or b"")
            where = {} if partition is None else {"partition": partition}
            while True:
                try:
                    self.producer.produce(self.topic, value, key[1] if key else b"", **where)
                    break
                except BufferError:
                    self.producer.poll(0.1)
        self.producer.flush(30)

    def raw_ends(self) -> list[int]:
        consumer = Consumer({"bootstrap.servers": self.settings.kafka, "group.id": "ends"})
        ends = [
            consumer.get_watermark_offsets(TopicPartition(self.topic, p), timeout=10)[1]
            for p in range(self.settings.partitions)
        ]
        consumer.close()
        return ends

    def covered(self) -> list[int]:
        """Per partition, how many raw records the log covers."""
        high = [-1] * self.settings.partitions
        for partition, _, value in log_messages(self.settings, records_accepted(self.source.name)):
            high[partition] = max(high[partition], packs.log_header(value).raw_last)
        return [h + 1 for h in high]

    def wait_covered(self, bound_s: float = 60.0) -> None:
        wait_for(
            lambda: self.covered() == self.raw_ends(),
            "the log covers all raw records",
            bound_s,
            0.3,
        )

    def counted(self) -> list[str]:
        """Order ids of all rows that count, partition by partition in log order."""
        return [str(known.record["order"]) for known in log_records(self.settings, self.source)]

    def dead_letters(self) -> list[tuple[int, int, bytes, str]]:
        """(partition, raw offset, original, reason) of everything dead-lettered of this source's
        raw topic.
        """
        found = []
        for message in all_messages(self.settings.kafka, dead_letter("ingest")):
            headers = {name: value.decode() for name, value in message.headers()}
            if headers["dead_letter_topic"] == self.topic:
                found.append(
                    (
                        int(headers["dead_letter_partition"]),
                        int(headers["dead_letter_offset"]),
                        message.value() or b"",
                        headers["dead_letter_reason"],
                    )
                )
        return found


def all_messages(kafka: str, topic: str) -> list:
    """Every message that the first partition of a topic holds now."""
    consumer = Consumer(
        {"bootstrap.servers": kafka, "group.id": "all", "fetch.message.max.bytes": 8_000_000}
    )
    low, high = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=10)
    consumer.assign([TopicPartition(topic, 0, low)])
    found = []
    while len(found) < high - low:
        found += consumer.consume(high - low - len(found), 0.5)
    consumer.close()
    assert all(message.error() is None for message in found)
    return found
