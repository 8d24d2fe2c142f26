"""A span is read to its end, wherever its last offsets lie, or it is said that it cannot be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import KafkaError

from tests.unit.mesh.fakes import Message
from twinstream.errors import NotRunningError
from twinstream.mesh.kafka.spans import Span, messages

PLACE = ("t", 0)


class Read(Message):
    failure: KafkaError | None = None

    def error(self) -> KafkaError | None:
        return self.failure


def read(offset: int) -> Read:
    return Read(b"%d" % offset, offset, "t")


def failed(code: int, offset: int = -1) -> Read:
    message = read(offset)
    message.failure = KafkaError(code)
    return message


class Consumer:
    """Gives what it was told to, one batch a call."""

    def __init__(self, *batches: list[Read]) -> None:
        self.batches, self.assigned = list(batches), list[tuple[int, int]]()

    def assign(self, places: list[Any]) -> None:
        self.assigned = [(place.partition, place.offset) for place in places]

    def unassign(self) -> None:
        self.assigned = []

    def consume(self, _most: int, _wait_s: float) -> list[Read]:
        return self.batches.pop(0) if self.batches else []


def offsets(consumer: Consumer, start: int, end: int, silence_s: float = 5.0) -> list[int]:
    return [m.offset() for m in messages(consumer, {PLACE: Span(start, end)}, silence_s)]


def test_a_span_ends_before_what_came_after_it() -> None:
    assert offsets(Consumer([read(4), read(5)], [read(6), read(7)]), 4, 7) == [4, 5, 6]


@pytest.mark.parametrize(
    "ending",
    [
        lambda: [failed(KafkaError._PARTITION_EOF, 8)],  # the last offsets are marks
        lambda: [read(9)],  # so they are, and more has come behind them
    ],
)
def test_a_span_may_end_in_offsets_of_no_message(ending: Callable[[], list[Read]]) -> None:
    assert offsets(Consumer([read(4)], ending()), 4, 8) == [4]


def test_errors_that_pass_end_nothing() -> None:
    assert offsets(Consumer([failed(KafkaError._TRANSPORT)], [read(4)]), 4, 5) == [4]


@pytest.mark.parametrize(
    "batch", [[failed(KafkaError._AUTO_OFFSET_RESET)], [failed(KafkaError._PARTITION_EOF, 3)], []]
)
def test_a_span_that_is_not_read_whole_is_said_to_be(batch: list[Read]) -> None:
    with pytest.raises(NotRunningError, match=r"t\[0\]"):
        offsets(Consumer(batch), 4, 5, silence_s=0.0)


def test_an_empty_span_asks_nobody() -> None:
    assert offsets(Consumer([read(4)]), 4, 4) == []
