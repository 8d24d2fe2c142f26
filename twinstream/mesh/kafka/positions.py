"""Where partitions begin, end, and stand at a time.

Kafka's clients give a number below 0 for what they do not know; here that is an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from confluent_kafka import OFFSET_END, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from twinstream.errors import NotRunningError
from twinstream.mesh.kafka.errors import asking, unread

Place = tuple[str, int]  # topic, partition


class Range(NamedTuple):
    """First offset of a partition, and the one after its last."""

    low: int
    high: int


def known(offset: int, what: str) -> int:
    """The offset itself; raises NotRunningError for what is none, as clients give it without an
    error when their time runs out.
    """
    if offset < 0:
        raise NotRunningError(f"{what}: Kafka does not answer in time (offset {offset})")
    return offset


def range_of(
    consumer: Any,
    topic: str,
    partition: int,
    timeout_s: float,
) -> Range:
    """What a partition holds now, as the broker says; raises NotRunningError."""
    what = f"{topic}[{partition}]"
    with asking(what):
        found = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=timeout_s)
    low, high = found or (-1, -1)
    return Range(known(low, what), known(high, what))


def cached_range(
    consumer: Any,
    topic: str,
    partition: int,
) -> Range | None:
    """What the consumer last heard of a partition; None before it has heard of it. Asks nobody."""
    low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), cached=True)
    return None if high < 0 else Range(max(low, 0), high)


def at_time(
    consumer: Any,
    wanted: Iterable[Place],
    time_ms: int,
    timeout_s: float,
) -> dict[Place, int | None]:
    """The first offset of each partition with a timestamp at or after a time; None where there is
    none. Raises NotRunningError.
    """
    asked = [TopicPartition(*place, max(0, time_ms)) for place in wanted]
    with asking("where a time begins"):
        found = consumer.offsets_for_times(asked, timeout=timeout_s)
    return {(tp.topic, tp.partition): _at_time(tp) for tp in found}


def _at_time(found: TopicPartition) -> int | None:
    what = f"{found.topic}[{found.partition}]"
    if found.error is not None:
        raise unread(what, found.error)
    return None if found.offset == OFFSET_END else known(found.offset, what)


def ends(
    admin: AdminClient,
    wanted: Sequence[Place],
    timeout_s: float,
) -> dict[Place, int]:
    """The offset after the last of each partition, all asked at once; raises NotRunningError."""
    return _listed(admin, wanted, OffsetSpec.latest(), timeout_s)


def beginnings(
    admin: AdminClient,
    wanted: Sequence[Place],
    timeout_s: float,
) -> dict[Place, int]:
    """The first offset of each partition, all asked at once; raises NotRunningError."""
    return _listed(admin, wanted, OffsetSpec.earliest(), timeout_s)


def _listed(
    admin: AdminClient,
    wanted: Sequence[Place],
    which: OffsetSpec,
    timeout_s: float,
) -> dict[Place, int]:
    asked = {TopicPartition(*place): which for place in wanted}
    found: dict[Place, int] = {}
    for tp, answer in admin.list_offsets(asked, request_timeout=timeout_s).items():
        what = f"{tp.topic}[{tp.partition}]"
        with asking(what):
            found[(tp.topic, tp.partition)] = known(answer.result(timeout_s).offset, what)
    return found


def partitions(
    client: Any,
    topic: str,
    timeout_s: float,
) -> list[int]:
    """Numbers of a topic's partitions; raises NotRunningError, also for a topic that is not
    there.
    """
    with asking(f"topic {topic}"):
        found = client.list_topics(topic, timeout=timeout_s).topics[topic]
    if found.error is not None:
        raise NotRunningError(f"topic {topic}: {found.error.str()}; create the topics first")
    return sorted(found.partitions)
