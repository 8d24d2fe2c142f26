"""Reads spans of partitions, each from an offset to another, in the order of each."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from confluent_kafka import TopicPartition

from twinstream.errors import NotRunningError
from twinstream.mesh.kafka import declared
from twinstream.mesh.kafka.errors import is_end, passes, unread
from twinstream.mesh.kafka.positions import Place

MOST, WAIT_S = 500, 0.05
AT_ONCE: dict[str, object] = {
    "enable.auto.commit": False,
    "enable.partition.eof": True,
    "auto.offset.reset": "error",
}
"""What the options of a consumer must say that `messages` reads with: where a span has expired
meanwhile, that is an error, not an end.
"""


class Span(NamedTuple):
    """Offsets of a partition, `end` excluded."""

    start: int
    end: int


def messages(
    consumer: Any,
    spans: Mapping[Place, Span],
    silence_s: float,
) -> Iterator[Any]:
    """The messages of these spans; raises NotRunningError when none comes for `silence_s`.

    A span may end in marks of a client's transactions, of which no message tells: the end of the
    partition does. The consumer is assigned to these partitions alone, and to none afterwards.
    """
    declared.reading(topic for topic, _ in spans)
    left = {place: span for place, span in spans.items() if span.start < span.end}
    consumer.assign([TopicPartition(*place, span.start) for place, span in left.items()])
    give_up = time.monotonic() + silence_s
    while left:
        for message in consumer.consume(MOST, WAIT_S):
            place, reached = (message.topic(), message.partition()), _reached(message)
            give_up = time.monotonic() + silence_s
            span = left.get(place)
            if span is not None and message.error() is None and message.offset() < span.end:
                yield message
            if span is not None and reached >= span.end:
                del left[place]
        if left and time.monotonic() > give_up:
            (topic, partition), span = next(iter(left.items()))
            raise NotRunningError(
                f"{topic}[{partition}] gave nothing for {silence_s:g} s before offset {span.end}"
            )
    consumer.unassign()


def _reached(message: Any) -> int:
    """The offset behind a message, or at the end of its partition; -1 for an error that passes."""
    error = message.error()
    if error is None:
        return int(message.offset()) + 1
    if is_end(error):
        return int(message.offset())
    if not passes(error):
        raise unread(f"{message.topic()}[{message.partition()}]", error)
    return -1
