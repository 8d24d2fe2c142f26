"""A view worker that lost its disk: back from base and partials, with real Kafka, S3,
ingest and speed, while records go on to arrive.

`python -m benchmarks.recovery [keys] [records of the tail]`: seconds from a published base to one
that serves, and from the start of an emptied worker to its first answer.
Some keys are asked all the time: each answer is refused as not ready, or equals the fold's to the
byte.
"""

from __future__ import annotations

import json
import random
import shutil
import sys
import tempfile
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from confluent_kafka import Producer

from benchmarks.published import publish_base, readable, seal
from benchmarks.record import record
from deploy.local.mesh import EmbeddedMesh
from predict_svc.view.errors import ViewNotReadyError
from predict_svc.view.opening import open_reader
from predict_svc.view.reader import ViewReader
from schemas.topics import record_sent
from twinstream.algebra import kernel
from twinstream.algebra.fold import fold
from twinstream.mesh.pipeline_file import load

HERE = Path(__file__).parent
SERVICES = ("ingest", "speed", "view")
VIEW, SAMPLE, BOUND_S, LOOK_S = "by-account", 1_000, 300.0, 0.005
TRAFFIC_PER_S = 2_000


class Watched(NamedTuple):
    """The keys that are asked, and their states as the fold gives them."""

    keys: list[bytes]
    states: dict[bytes, bytes]


def main(n_keys: int = 1_000_000, tail: int = 200_000) -> None:
    """Measures once and records the result; raises AssertionError for an answer that is not the
    fold's.
    """
    with (
        tempfile.TemporaryDirectory(prefix="twinstream-bench-") as folder,
        EmbeddedMesh(folder, HERE / "pipeline.py", SERVICES, engines=("kafka", "s3")) as mesh,
    ):
        reader = open_reader(mesh.settings, load(mesh.settings.pipeline).view(VIEW))
        sent = Sender(mesh.settings.kafka)
        cut = seal(mesh.settings, "payments", 1)
        base = publish_base(mesh.settings, reader.plan, n_keys, cut, every=n_keys // SAMPLE)
        landing_s = _seconds_until(lambda: 1 in reader.bases(), base.published_at)
        sent.tail(tail, n_keys)
        _seconds_until(lambda: contains(reader, sent.ends), 0.0)
        watched = Watched(list(base.states), _with_tail(reader, base.states, sent.records))
        before = _check(reader, watched)
        figures = _recover(mesh, reader, watched, sent)
        assert figures.pop("raw") >= before, "the rebuilt view stood before where it had stood"
    record(
        "recovery",
        {
            "keys": n_keys,
            "records_a_key": base.records_a_key,
            "base_mb": round(base.size_bytes / 1e6, 1),
            "published_to_serving_s": round(landing_s, 2),
            "tail_records": tail,
            **figures,
            "checked_keys": len(watched.keys),
        },
    )


def _recover(
    mesh: EmbeddedMesh, reader: ViewReader, watched: Watched, sent: Sender
) -> dict[str, Any]:
    """Empties the worker's folder, starts it, and asks until every watched key was answered."""
    mesh.stop_one("view")
    reader.close()
    shutil.rmtree(Path(mesh.settings.data) / "view")
    refused, first_s, before = 0, 0.0, len(mesh.log("view"))
    with sent.traffic():
        started, started_at = time.perf_counter(), time.time()
        starting = threading.Thread(
            target=mesh.start_one, args=("view",), kwargs={"timeout": BOUND_S}
        )
        starting.start()
        while not first_s:
            try:
                _check_one(reader, watched, watched.keys[refused % len(watched.keys)])
                first_s = time.perf_counter() - started
            except ViewNotReadyError:
                refused += 1
                assert time.perf_counter() - started < BOUND_S, f"no answer within {BOUND_S} s"
                time.sleep(LOOK_S)
        ready_s = _seconds_until(lambda: bool(reader.bases()), started)
        raw, ends = _check(reader, watched), dict(sent.ends)
        caught_up_s = _seconds_until(lambda: contains(reader, ends), started)
        starting.join()
    _check(reader, watched)
    return {
        "first_right_answer_s": round(first_s, 2),
        "all_partitions_ready_s": round(ready_s, 2),
        "caught_up_s": round(caught_up_s, 2),
        "traffic_per_s": TRAFFIC_PER_S,
        "refused_as_not_ready": refused,
        "wrong_answers": 0,
        "last_seen_after_s": _phases(mesh.log("view")[before:], started_at),
        "raw": raw,
    }


def _phases(log: str, since: float) -> dict[str, float]:
    """When the worker wrote each of these lines last, in seconds from its start:
    bases loaded, reading begun, partitions complete.
    """
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    return {
        line["event"]: round(datetime.fromisoformat(line["timestamp"]).timestamp() - since, 2)
        for line in lines
        if line["event"] in {"base_landed", "sought", "view_whole"}
    }


def _check(reader: ViewReader, watched: Watched) -> int:
    """Every watched key equals the fold; returns how many raw records the view contains."""
    for key in watched.keys:
        _check_one(reader, watched, key)
    return readable(reader)


def _check_one(reader: ViewReader, watched: Watched, key: bytes) -> None:
    assert reader.state(key) == watched.states[key], f"{key.decode()} differs from the fold"


def _with_tail(
    reader: ViewReader, states: dict[bytes, bytes], records: list[dict[str, Any]]
) -> dict[bytes, bytes]:
    """The states of the base and the oracle's fold of the records sent since, merged."""
    new = fold(
        reader.plan.view, ((r, i) for i, r in enumerate(records) if r["account"].encode() in states)
    )
    return {
        key: kernel.merge_blobs(reader.plan, [blob, new[key]]) if key in new else blob
        for key, blob in states.items()
    }


def contains(reader: ViewReader, ends: dict[int, int]) -> bool:
    """Whether every partition of the view contains these raw offsets."""
    return all(
        at.raw.get(p, -1) >= end for at in reader.positions().values() for p, end in ends.items()
    )


def _seconds_until(reached: Any, since: float) -> float:
    give_up = time.perf_counter() + BOUND_S
    while not reached():
        assert time.perf_counter() < give_up, f"not reached within {BOUND_S} s"
        time.sleep(LOOK_S)
    return time.perf_counter() - since


class Sender:
    """Sends payments: a tail over all keys, whose records it keeps, then traffic of accounts that
    nobody watches. `ends`: what Kafka has.
    """

    def __init__(self, kafka: str) -> None:
        self._producer = Producer(
            {
                "bootstrap.servers": kafka,
                "linger.ms": 5,
                "queue.buffering.max.messages": 500_000,
                "enable.idempotence": True,
            }
        )
        self._dice, self._number = random.Random(11), 0
        self.ends: dict[int, int] = {}
        self.records: list[dict[str, Any]] = []

    def tail(self, n: int, n_keys: int) -> None:
        for _ in range(n):
            self.records.append(self._send(self._dice.randrange(n_keys)))
        assert self._producer.flush(120) == 0, "Kafka did not take every payment"

    def traffic(self) -> Traffic:
        return Traffic(self)

    def go_on(self, n: int) -> None:
        for _ in range(n):
            self._send(9_000_000 + self._dice.randrange(10_000))
        self._producer.poll(0)

    def _send(self, account: int) -> dict[str, Any]:
        self._number += 1
        cents, paid_at = (
            self._dice.randrange(1, 10**6),
            time.time_ns() // 1000 - self._dice.randrange(3_000_000_000),
        )
        name = f"account-{account:07d}"
        value = f'{{"payment_id":"p-{self._number:012d}","account":"{name}","paid_at":{paid_at},"cents":{cents // 100}.{cents % 100:02d},"merchant":"m"}}'
        self._producer.produce(
            record_sent("payments"), value.encode(), name.encode(), on_delivery=self._delivered
        )
        if self._number % 1_000 == 0:
            self._producer.poll(0)
        return {
            "payment_id": "",
            "account": name,
            "paid_at": paid_at,
            "cents": cents,
            "merchant": "m",
        }

    def _delivered(self, error: Any, message: Any) -> None:
        assert error is None, error
        self.ends[message.partition()] = max(
            self.ends.get(message.partition(), -1), message.offset()
        )


class Traffic:
    """Records that go on to arrive, from a thread, for as long as the context lasts."""

    def __init__(self, sender: Sender) -> None:
        self._sender, self._stop = sender, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.01):
            self._sender.go_on(TRAFFIC_PER_S // 100)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
