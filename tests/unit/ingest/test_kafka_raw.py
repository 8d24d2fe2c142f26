"""How raw records are gathered into one round, above all while partitions change their owner."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Message, TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from ingest_svc.adapters import kafka_raw
from ingest_svc.adapters.kafka_raw import KafkaRaw, append_times
from ingest_svc.ports import Place
from ingest_svc.settings import IngestSettings
from schemas.topics import record_sent
from twinstream.errors import NotRunningError
from twinstream.mesh.settings import MeshSettings

TOPIC = record_sent("orders")


class Scripted:
    """Stands in for a consumer: each call of `consume` does and returns what the script says
    next.
    """

    def __init__(self, _: object) -> None:
        self.script: list[Callable[[], list[Message]]] = []
        self.assigned: list[tuple[int, int]] = []
        self.unassigned: list[int] = []

    def subscribe(self, _: object, on_assign: Any, on_revoke: Any, on_lost: Any) -> None:
        self.on_assign, self.on_revoke = on_assign, on_revoke

    def consume(self, count: int, wait_s: float) -> list[Message]:
        return self.script.pop(0)() if self.script else []

    def incremental_assign(self, places: list[TopicPartition]) -> None:
        self.assigned += [(place.partition, place.offset) for place in places]

    def incremental_unassign(self, places: list[TopicPartition]) -> None:
        self.unassigned += [place.partition for place in places]

    def assign(self, partition: int) -> None:
        self.on_assign(self, [TopicPartition(TOPIC, partition)])

    def revoke(self, partition: int) -> None:
        self.on_revoke(self, [TopicPartition(TOPIC, partition)])


@pytest.fixture
def consumer(monkeypatch: pytest.MonkeyPatch) -> Scripted:
    scripted = Scripted(None)
    monkeypatch.setattr(kafka_raw, "Consumer", lambda _: scripted)
    return scripted


def raw_of(starts: dict[int, int], opened: Callable[[Place], int] | None = None) -> KafkaRaw:
    return KafkaRaw(
        MeshSettings(pipeline=""),
        IngestSettings(),
        "group",
        "instance",
        ["orders"],
        opened=opened or (lambda place: starts[place.partition]),
        closed=lambda _: None,
        stopping=threading.Event(),
    )


def messages(partition: int, *offsets: int) -> list[Message]:
    return [
        Message(
            topic=TOPIC, partition=partition, offset=offset, value=b"%d" % offset, timestamp=(1, 1)
        )
        for offset in offsets
    ]


def offsets_of(raw: KafkaRaw) -> dict[int, list[int]]:
    return {place.partition: found.offsets.tolist() for place, found in raw.poll()}


def test_what_comes_within_a_packs_time_is_one_round(consumer: Scripted) -> None:
    raw = raw_of({})
    consumer.script = [lambda: messages(0, 7), lambda: messages(0, 8, 9), lambda: messages(1, 4)]
    assert offsets_of(raw) == {0: [7, 8, 9], 1: [4]}


def test_records_of_an_earlier_ownership_are_not_taken_twice(consumer: Scripted) -> None:
    raw = raw_of({0: 100})

    def taken_away_and_given_back() -> list[Message]:
        consumer.revoke(0)
        consumer.assign(0)
        return messages(0, 100, 101, 102)

    consumer.script = [
        lambda: [*messages(0, 100, 101), *messages(1, 5)],
        taken_away_and_given_back,
        lambda: messages(0, 103),
    ]
    assert offsets_of(raw) == {0: [100, 101, 102, 103], 1: [5]}


def test_what_does_not_begin_at_the_start_of_an_ownership_is_read_again(consumer: Scripted) -> None:
    raw = raw_of({0: 100})

    def given() -> list[Message]:
        consumer.assign(0)
        return messages(0, 90, 91)

    consumer.script = [given]
    assert offsets_of(raw) == {}
    assert (consumer.unassigned, consumer.assigned) == ([0], [(0, 100), (0, 100)])


@given(pauses=st.lists(st.integers(0, 3), max_size=200), repeat=st.integers(1, 60))
def test_each_record_is_known_when_the_broker_appended_it(pauses: list[int], repeat: int) -> None:
    times = [1000 + sum(pauses[: i + 1]) for i in range(len(pauses)) for _ in range(repeat)] or [7]
    group = [
        Message(
            topic=TOPIC, partition=0, offset=i, value=b"", timestamp=(TIMESTAMP_LOG_APPEND_TIME, at)
        )
        for i, at in enumerate(times)
    ]
    assert append_times(group).tolist() == [at * 1000 for at in times]


def test_a_time_that_a_client_gave_says_nothing() -> None:
    assert append_times(messages(0, 1, 2)).tolist() == [0, 0]


def test_a_partition_is_opened_once_kafka_says_where(
    consumer: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_raw, "PAUSE_S", 0.0)
    asked: list[Place] = []

    def opened(place: Place) -> int:
        asked.append(place)
        if len(asked) < 3:
            raise NotRunningError("not yet")
        return 7

    raw_of({}, opened)
    consumer.assign(0)
    assert consumer.assigned == [(0, 7)]
    assert len(asked) == 3
