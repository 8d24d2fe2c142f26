"""What a producer raises and how it goes on, with librdkafka itself and the cluster that it brings
along for tests.
"""

from __future__ import annotations

import pytest

from tests.unit.mesh.kafka.librdkafka import MOCK, break_for_good
from twinstream.errors import MessageRefusedError, ProducerBrokenError, QueueFullError
from twinstream.mesh.kafka.producer import KafkaProducer, RenewedProducer

IDEMPOTENT = MOCK | {"enable.idempotence": True}
NOWHERE = {"bootstrap.servers": "127.0.0.1:1", "log_level": 0}
Reports = list[bool]
"""Whether each message is in Kafka. (A KafkaError cannot be compared with None.)"""


def test_a_broken_producer_says_so_and_sends_no_more() -> None:
    producer = KafkaProducer(IDEMPOTENT)
    break_for_good(producer.client)
    for call in (
        lambda: producer.flush(1.0),
        lambda: producer.enqueue("t", 1.0, value=b"x"),
    ):
        with pytest.raises(ProducerBrokenError):
            call()


@pytest.mark.parametrize("first", ["enqueue", "poll", "flush"])
def test_a_broken_producer_is_made_anew(first: str) -> None:
    reports: Reports = []
    producer = RenewedProducer(IDEMPOTENT)
    break_for_good(producer._now.client)
    if first != "enqueue":
        getattr(producer, first)(0.1)
    producer.enqueue(
        "t", 1.0, value=b"x", on_delivery=lambda error, _: reports.append(error is None)
    )
    assert producer.flush(10.0) == 0
    assert (reports, producer.renewals) == ([True], 1)


@pytest.mark.parametrize("first", ["poll", "flush"])
def test_what_a_broken_producer_still_had_is_told_as_failed(first: str) -> None:
    reports: Reports = []
    producer = RenewedProducer(IDEMPOTENT | {"linger.ms": 60_000})
    for _ in range(3):
        producer.enqueue(
            "t", 1.0, value=b"x", on_delivery=lambda error, _: reports.append(error is None)
        )
    break_for_good(producer._now.client)
    getattr(producer, first)(0.1)
    assert reports == [False] * 3


def test_a_message_that_is_too_large_is_refused_for_good() -> None:
    producer = KafkaProducer(MOCK)
    with pytest.raises(
        MessageRefusedError, match=r"^t: Kafka never takes a message of 2000003 byt"
    ):
        producer.enqueue("t", 1.0, value=b"x" * 2_000_000, key=b"key")


def test_a_full_queue_is_waited_for_within_a_bound() -> None:
    producer = KafkaProducer(NOWHERE | {"queue.buffering.max.messages": 1})
    paused: list[float] = []
    producer.enqueue("t", 0.0, value=b"x")
    with pytest.raises(QueueFullError, match="t: the queue stayed full"):
        producer.enqueue("t", 0.2, pause=paused.append, value=b"x")
    assert paused
