"""An offset that Kafka's client does not know is never taken for a position."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import OFFSET_END, OFFSET_INVALID, Consumer, KafkaError, TopicPartition
from confluent_kafka.admin import AdminClient

from twinstream.errors import NotRunningError
from twinstream.mesh.kafka import positions

NOWHERE = {"bootstrap.servers": "127.0.0.1:1", "log_level": 0}


class Answers:
    """A consumer and an admin client that answer with one offset."""

    def __init__(self, offset: int, error: int | None = None) -> None:
        self._offset, self._error = offset, error

    def get_watermark_offsets(self, *_: Any, **__: Any) -> tuple[int, int]:
        return 0, self._offset

    def offsets_for_times(self, asked: list[TopicPartition], **_: Any) -> list[Any]:
        error = None if self._error is None else KafkaError(self._error)
        return [
            SimpleNamespace(topic=p.topic, partition=p.partition, offset=self._offset, error=error)
            for p in asked
        ]

    def list_offsets(self, wanted: dict[Any, Any], **_: Any) -> dict[Any, Any]:
        answer = SimpleNamespace(result=lambda _: SimpleNamespace(offset=self._offset))
        return dict.fromkeys(wanted, answer)


def test_offsets_that_are_none_are_no_positions() -> None:
    unknown: Any = Answers(OFFSET_INVALID)
    with pytest.raises(NotRunningError, match=r"t\[0\]"):
        positions.range_of(unknown, "t", 0, 1.0)
    with pytest.raises(NotRunningError, match=r"t\[0\]"):
        positions.at_time(unknown, [("t", 0)], 5, 1.0)
    with pytest.raises(NotRunningError, match=r"t\[0\]"):
        positions.ends(unknown, [("t", 0)], 1.0)
    assert positions.cached_range(unknown, "t", 0) is None


def test_known_offsets_are_given_as_they_are() -> None:
    known: Any = Answers(7)
    assert positions.range_of(known, "t", 0, 1.0) == (0, 7)
    assert positions.at_time(known, [("t", 0)], 5, 1.0) == {("t", 0): 7}
    assert positions.ends(known, [("t", 0)], 1.0) == {("t", 0): 7}
    assert positions.cached_range(known, "t", 0) == (0, 7)


def test_a_time_after_all_messages_has_no_offset() -> None:
    assert positions.at_time(Answers(OFFSET_END), [("t", 0)], 5, 1.0) == {("t", 0): None}


def test_an_error_beside_an_offset_counts() -> None:
    refused: Any = Answers(3, KafkaError.NOT_LEADER_FOR_PARTITION)
    with pytest.raises(NotRunningError, match=r"t\[0\]"):
        positions.at_time(refused, [("t", 0)], 5, 1.0)


def test_a_broker_that_is_away_is_said_to_be() -> None:
    consumer, admin = Consumer(NOWHERE | {"group.id": "g"}), AdminClient(NOWHERE)
    for ask in (
        lambda: positions.range_of(consumer, "t", 0, 0.3),
        lambda: positions.at_time(consumer, [("t", 0)], 5, 0.3),
        lambda: positions.ends(admin, [("t", 0)], 0.3),
        lambda: positions.partitions(admin, "t", 0.3),
    ):
        with pytest.raises(NotRunningError, match="t"):
            ask()
    assert positions.cached_range(consumer, "t", 0) is None
    consumer.close()
