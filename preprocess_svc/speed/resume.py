"""Reads from Kafka where each log partition has to be folded on from:
the speed layer's own partials, behind the last published cut.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from functools import cache, partial
from typing import Any

import structlog
from confluent_kafka import Consumer

from preprocess_svc.speed.chain import BEGINNING, Link, advance, resume_at
from preprocess_svc.speed.cuts import believed, is_barrier, newest_first
from schemas.events import ViewPublished
from schemas.partials import header_of
from schemas.topics import partials_folded, records_accepted, topic_of
from twinstream.define import Pipeline
from twinstream.mesh.events import EventReader, Refused
from twinstream.mesh.kafka.positions import Place, at_time, range_of
from twinstream.mesh.kafka.spans import AT_ONCE, Span, messages
from twinstream.mesh.settings import MeshSettings
from twinstream.protocol.manifests import Manifests

LogPartition = tuple[str, int]  # source, partition of its log
_log = structlog.get_logger()
SILENCE_S = 30.0


class Resume:
    """Answers, for log partitions, where to fold on. Its own Kafka consumer;
    safe to call from one thread at a time.
    """

    def __init__(
        self,
        settings: MeshSettings,
        pipeline: Pipeline,
        clock_skew_s: float,
        refused: Refused,
    ) -> None:
        self._settings = settings
        self._refused = refused
        self._pipeline = pipeline
        self._skew_ms = int(clock_skew_s * 1000)

    def links(self, wanted: Collection[LogPartition]) -> dict[LogPartition, Link]:
        """The place behind which the log partition is to be folded;
        everything before is in every view's partials or base.
        """
        started = time.monotonic()
        published = self._published()
        consumer = self._consumer()
        try:
            found = {}
            for source in {source for source, _ in wanted}:
                mine = [partition for name, partition in wanted if name == source]
                cuts = self._cuts(consumer, source, mine, published)
                found.update(self._of_source(consumer, source, mine, cuts))
        finally:
            consumer.close()
        seconds = round(time.monotonic() - started, 3)
        _log.info("resume_found", partitions=len(found), seconds=seconds)
        return found

    def _consumer(self) -> Consumer:
        options = self._settings.kafka_client(
            group_id="twinstream-speed-resume",
            fetch_wait_max_ms=20,
        )
        return Consumer(options | AT_ONCE)

    def _of_source(
        self,
        consumer: Consumer,
        source: str,
        partitions: list[int],
        cuts: Mapping[str, Mapping[int, Link]],
    ) -> dict[LogPartition, Link]:
        """One source: replay the view's rule over the partials of each of its views,
        from a little before the earliest cut.
        """
        views = [view.name for view in self._pipeline.views_of(source)]
        begun = [cuts[v].get(p, BEGINNING) for v in views for p in partitions]
        since_ms = self._written_ms(consumer, source, begun, partitions)
        links: dict[LogPartition, list[Link]] = {(source, p): [] for p in partitions}
        for view in views:
            for place, link in self._replayed(consumer, view, partitions, cuts[view], since_ms):
                links[source, place].append(link)
        return {place: resume_at(found, BEGINNING) for place, found in links.items()}

    def _replayed(
        self,
        consumer: Consumer,
        view: str,
        partitions: list[int],
        cut: Mapping[int, Link],
        since_ms: int,
    ) -> list[tuple[int, Link]]:
        """(log partition, where its chain ends in one partition of the view's partials)."""
        targets = self._settings.partitions
        chains = {(q, p): cut.get(p, BEGINNING) for q in range(targets) for p in partitions}
        for target, value in _values(consumer, partials_folded(view), targets, since_ms):
            header = header_of(value)
            place = (target, -1 if header is None else header.origin_partition)
            if header is not None and place in chains:
                chains[place] = advance(chains[place], header)
        return [(partition, link) for (_, partition), link in chains.items()]

    def _published(self) -> dict[str, list[ViewPublished]]:
        """Per view what can be believed of its manifests by themselves, in their order."""
        found: dict[str, list[ViewPublished]] = defaultdict(list)
        manifests = Manifests(self._pipeline, self._settings.partitions, self._settings.bucket)
        topics = [topic_of(ViewPublished)]
        with EventReader(
            self._settings, topics, refused=self._refused, check=manifests.refusal
        ) as reader:
            for event, _ in reader.read_to_end():
                if isinstance(event, ViewPublished):
                    found[event.view].append(event)
        return found

    def _cuts(
        self,
        consumer: Consumer,
        source: str,
        partitions: list[int],
        published: Mapping[str, list[ViewPublished]],
    ) -> dict[str, dict[int, Link]]:
        """Per view of a source the end of its newest published epoch in each log partition,
        as the log has it too.
        """
        found: dict[str, dict[int, Link]] = defaultdict(dict)
        ends = cache(partial(_ends, consumer, records_accepted(source)))
        for view in self._pipeline.views_of(source):
            event = believed(newest_first(published.get(view.name, ())), partitions, ends)
            if event is not None:
                found[view.name] = _links_of(event)
        return found

    def _written_ms(
        self,
        consumer: Consumer,
        source: str,
        cuts: list[Link],
        partitions: list[int],
    ) -> int:
        """A time before which no partial behind any of these cuts was written;
        0 (the beginning) when one has no cut.
        """
        if min(link.offset for link in cuts) < 0:
            return 0
        topic = records_accepted(source)
        stamps = []
        for partition, link in zip(partitions * (len(cuts) // len(partitions)), cuts, strict=True):
            message = _message_at(consumer, topic, partition, link.offset)
            if message is None:
                return 0
            stamps.append(message.timestamp()[1])
        return max(0, min(stamps) - self._skew_ms)


def _links_of(event: ViewPublished) -> dict[int, Link]:
    """Where an epoch ends in each log partition."""
    return {
        partition: Link(cut.offset, event.epoch + 1, cut.raw_high)
        for partition, cut in event.cut.items()
    }


def _ends(
    consumer: Consumer,
    topic: str,
    partition: int,
    offset: int,
    epoch: int,
) -> bool:
    """Whether an epoch's barrier is at this place of a log; one that the log has forgotten is
    believed.
    """
    if offset < range_of(consumer, topic, partition, SILENCE_S).low:
        return True
    message = _message_at(consumer, topic, partition, offset)
    return message is not None and message.offset() == offset and is_barrier(message.value(), epoch)


def _message_at(
    consumer: Consumer,
    topic: str,
    partition: int,
    offset: int,
) -> Any | None:
    """The message at an offset that a partition holds."""
    low, high = range_of(consumer, topic, partition, SILENCE_S)
    if not low <= offset < high:
        return None
    spans = {(topic, partition): Span(offset, offset + 1)}
    return next(messages(consumer, spans, SILENCE_S), None)


def _values(
    consumer: Consumer,
    topic: str,
    partitions: int,
    since_ms: int,
) -> Iterable[tuple[int, bytes]]:
    """(partition, value) of all that a topic holds now, from the first message stamped `since_ms`
    or later on.
    """
    spans = _spans(consumer, topic, partitions, since_ms)
    for message in messages(consumer, spans, SILENCE_S):
        yield message.partition(), message.value()


def _spans(
    consumer: Consumer,
    topic: str,
    partitions: int,
    since_ms: int,
) -> dict[Place, Span]:
    """By partition, what is stamped `since_ms` or later."""
    places = [(topic, p) for p in range(partitions)]
    since = at_time(consumer, places, since_ms, SILENCE_S) if since_ms else dict.fromkeys(places, 0)
    return {place: _span(consumer, place, first) for place, first in since.items()}


def _span(
    consumer: Consumer,
    place: Place,
    first: int | None,
) -> Span:
    """From `first` on; None: nothing of it."""
    low, high = range_of(consumer, *place, SILENCE_S)
    return Span(high if first is None else max(low, first), high)
