"""While Kafka takes nothing the live part of ingest waits; it gives nothing up that it has read."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from ingest_svc import worker
from ingest_svc.log_writer import DeadLetter
from ingest_svc.ports import Place
from ingest_svc.settings import IngestSettings
from ingest_svc.worker import Ingest
from twinstream.errors import NotRunningError, PublishError


class DeadLetters:
    """A sink that loses what waits in it the first two times."""

    def __init__(self, failures: int = 2) -> None:
        self.waiting: list[int] = []
        self.written: list[int] = []
        self._failures = failures

    def put(self, _original: bytes, _reason: str, *, offset: int, **_: object) -> None:
        self.waiting.append(offset)

    def flush(self) -> None:
        waiting, self.waiting = self.waiting, []
        if self._failures:
            self._failures -= 1
            raise PublishError("Kafka did not take a message")
        self.written += waiting


class Seals:
    def poll(self) -> list[Any]:
        raise NotRunningError("Kafka does not answer")


def ingest_of(**ports: object) -> Ingest:
    made: Any = SimpleNamespace(**ports)
    return Ingest(made, {}, IngestSettings(), replay=False, stopping=threading.Event())


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "PAUSE_S", 0.0)


def test_dead_letters_that_kafka_lost_are_written_again() -> None:
    sink = DeadLetters()
    lane: Any = SimpleNamespace(raw_topic="raw", place=Place("orders", 0))
    ingest_of(dead_letters=sink)._put_dead(
        lane, [DeadLetter(3, b"x", "bad"), DeadLetter(5, b"y", "bad")]
    )
    assert sink.written == [3, 5]


def test_a_worker_that_is_to_stop_waits_no_longer() -> None:
    ingest = ingest_of(dead_letters=DeadLetters(failures=9))
    ingest._stopping.set()
    lane: Any = SimpleNamespace(raw_topic="raw", place=Place("orders", 0))
    with pytest.raises(PublishError):
        ingest._put_dead(lane, [DeadLetter(3, b"x", "bad")])


def test_requests_that_cannot_be_read_now_end_no_worker() -> None:
    ingest_of(seals=Seals())._take_requests()
