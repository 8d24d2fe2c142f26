"""How many dead letters are open, by service, with the newest one's reason: what `status` shows."""

# Bounded: the newest WINDOW messages of each topic partition, for as long as BOUND_S.
# What users dealt with is read whole, or nothing is counted.

from __future__ import annotations

import time
import uuid
from collections.abc import Container, Iterable, Iterator
from typing import Any

import msgspec
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from schemas.events import DeadLetterResolved
from schemas.topics import SERVICES, dead_letter, topic_of
from twinstream.errors import NotRunningError, UndecodableEventError
from twinstream.mesh.dead_letter_reader import Letter, LetterId, first_of_each, letter_of
from twinstream.mesh.kafka.cloud_events import event_of
from twinstream.mesh.kafka.errors import MESSAGE_BYTES, asking, is_end, passes
from twinstream.mesh.kafka.positions import ends
from twinstream.mesh.settings import MeshSettings

WINDOW = 5_000
BOUND_S, ASK_S = 1.0, 1.0
AT_ONCE = 500
RESOLVED = topic_of(DeadLetterResolved)
_TOPICS = {dead_letter(service): service for service in SERVICES}


Partition = tuple[str, int]


class Open(msgspec.Struct, kw_only=True):
    """Of one service. `whole` False: `count` is of what was looked at, and there is more."""

    count: int = 0
    bugs: int = 0
    whole: bool = True
    newest: str = ""
    newest_at_us: int = 0
    reason: str = ""

    def add(self, letter: Letter) -> None:
        """Count one that nobody has dealt with."""
        self.count += 1
        self.bugs += letter.fact("kind") == "bug"
        if letter.at_us >= self.newest_at_us:
            self.newest, self.newest_at_us = str(letter.id), letter.at_us
            self.reason = letter.fact("reason")


def open_letters(settings: MeshSettings, bound_s: float = BOUND_S) -> dict[str, Open]:
    """Of each service that has some; raises NotRunningError when Kafka does not answer,
    or not soon.
    """
    wanted, cut = _spans(settings)
    done = _done(settings, [tp for tp in wanted if tp.topic == RESOLVED], bound_s)
    rest = [tp for tp in wanted if tp.topic != RESOLVED]
    left = set[Partition]()
    found = [letter_of(message) for message in _read(settings, rest, left, bound_s)]
    return summary(found, done, cut | {_TOPICS[topic] for topic, _ in left})


def _done(
    settings: MeshSettings,
    spans: list[TopicPartition],
    bound_s: float,
) -> set[LetterId]:
    """What users dealt with, all of it."""
    done, left = set[LetterId](), set[Partition]()
    for message in _read(settings, spans, left, bound_s):
        done |= _resolved(message)
    if left:
        raise NotRunningError(
            f"what was replayed or dropped is not read within {bound_s:g} s; "
            "twinstream dead-letters list takes the time that it needs"
        )
    return done


def _spans(settings: MeshSettings) -> tuple[list[TopicPartition], set[str]]:
    """Where to begin in each partition, and the services of which older letters are passed over."""
    admin = AdminClient(settings.kafka_client(log_level=0))
    found = ends(admin, _partitions(admin), ASK_S)
    firsts = {place: _first(place[0], end) for place, end in found.items() if end}
    cut = {_TOPICS[topic] for (topic, _), first in firsts.items() if first}
    return [TopicPartition(*place, first) for place, first in firsts.items()], cut


def _first(topic: str, end: int) -> int:
    """What users dealt with is read whole."""
    return 0 if topic == RESOLVED else max(0, end - WINDOW)


def _partitions(admin: AdminClient) -> list[Partition]:
    """Of dead letters and of what was done about them."""
    with asking("dead letters"):
        topics = admin.list_topics(timeout=ASK_S).topics
    there = [name for name in (*_TOPICS, RESOLVED) if name in topics]
    return [(name, number) for name in there for number in topics[name].partitions]


def _read(
    settings: MeshSettings,
    spans: list[TopicPartition],
    left: set[Partition],
    bound_s: float,
) -> Iterator[Any]:
    """Messages to the ends of their partitions; those whose end was not reached stay in `left`."""
    left |= {(tp.topic, tp.partition) for tp in spans}
    consumer = _consumer(settings)
    try:
        consumer.assign(spans)
        until = time.monotonic() + bound_s
        while left and (wait_s := until - time.monotonic()) > 0:
            for message in consumer.consume(AT_ONCE, min(wait_s, 0.1)):
                error = message.error()
                if error is None:
                    yield message
                elif is_end(error):
                    left.discard((message.topic(), message.partition()))
                elif not passes(error):
                    return
    finally:
        consumer.close()


def _consumer(settings: MeshSettings) -> Consumer:
    return Consumer(
        settings.kafka_client(
            log_level=0,
            group_id=f"open-letters-{uuid.uuid4().hex}",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            enable_partition_eof=True,
            fetch_wait_max_ms=100,
            fetch_message_max_bytes=MESSAGE_BYTES,
        )
    )


def _resolved(message: Any) -> set[LetterId]:
    try:
        event = event_of(message)
    except UndecodableEventError:
        return set()
    if not isinstance(event, DeadLetterResolved):
        return set()
    return {LetterId(event.service, event.partition, event.offset)}


def summary(
    letters: Iterable[Letter],
    done: Container[LetterId],
    cut: Container[str],
) -> dict[str, Open]:
    """By service.

    The first letter of an input stands for it, as in the list; `cut`: not all were read.
    """
    found = {name: Open(whole=name not in cut) for name in SERVICES}
    for letter in first_of_each(sorted(letters, key=lambda letter: letter.id)):
        if letter.id not in done:
            found[letter.id.service].add(letter)
    return {name: one for name, one in found.items() if one.count}
