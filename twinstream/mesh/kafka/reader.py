"""Reads events: from the beginning, from now, or on from where a group has committed."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Self

import structlog
from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaException,
    TopicPartition,
)

from schemas import events as ev
from twinstream.errors import NotRunningError, TransientError, UndecodableEventError
from twinstream.mesh.kafka import declared
from twinstream.mesh.kafka.cloud_events import event_of, where
from twinstream.mesh.kafka.errors import MESSAGE_BYTES, is_end, passes, unread
from twinstream.mesh.kafka.positions import partitions, range_of
from twinstream.mesh.settings import MeshSettings

Refused = Callable[[Any, str], None]
"""Takes a message that cannot be acted on, and why; see `Quarantine.refuse`."""
Check = Callable[[ev.Event], str]
"""Why its reader cannot believe an event that is plausible by itself; "" when it can."""
PAUSE_S = 1.0
ASK_S = 10.0
LONGEST_HANDLING_MS = 86_400_000
"""A member of a group may take so long over one event: a file of tens of gigabytes is read through when it arrives."""
SESSION_MS = 6000
"""So long a group waits for a member that was killed; with the client's own 45 s its successor would wait as long for its first event."""
_log = structlog.get_logger()


class EventReader:
    """Reads control events from all partitions of some topics, each topic's partitions in their order.

    Without `group` nothing is committed and reading starts at the beginning (or, with `from_beginning=False`, at what is
    written after this call). With `group` it goes on after the last `commit`. With `refused` a message that is not a plausible event,
    or that `check` does not believe, is handed to it and passed over; without, `poll` raises UndecodableEventError.
    """

    def __init__(
        self,
        settings: MeshSettings,
        topics: Sequence[str],
        group: str | None = None,
        *,
        from_beginning: bool = True,
        refused: Refused | None = None,
        check: Check | None = None,
    ) -> None:
        declared.reading(topics)
        self._topics, self._refused, self._check = list(topics), refused, check
        self._consumer = Consumer(
            settings.kafka_client(
                group_id=group or f"reader-{uuid.uuid4().hex}",
                enable_auto_commit=False,
                enable_auto_offset_store=False,
                auto_offset_reset="earliest" if from_beginning else "latest",
                fetch_wait_max_ms=500,
                session_timeout_ms=SESSION_MS,
                max_poll_interval_ms=LONGEST_HANDLING_MS,
                heartbeat_interval_ms=SESSION_MS // 3,
                fetch_message_max_bytes=MESSAGE_BYTES,
                enable_partition_eof=True,  # the marks of a client's transactions are passed over
                topic_metadata_refresh_interval_ms=5000,
            )
        )
        self._settings = settings
        self._positions: dict[tuple[str, int], int] = {}
        if group is None:
            self._assign(from_beginning)
        else:
            self._consumer.subscribe(self._topics)

    def poll(self, timeout: float = 1.0) -> tuple[ev.Event, Any] | None:
        """The next (event, message), None when none came in time, or what came was refused.

        Raises UndecodableEventError, whose `message` attribute is what was read; the next call goes on after it.
        """
        message = self.poll_raw(timeout)
        if message is None:
            return None
        try:
            return self._judged(message)
        except TransientError:
            self._read_again(message)
            raise

    def _judged(self, message: Any) -> tuple[ev.Event, Any] | None:
        try:
            return self._believed(message), message
        except UndecodableEventError as error:
            if self._refused is None:
                raise
            self._refused(message, str(error))
            return None

    def _read_again(self, message: Any) -> None:
        """While a message cannot be judged, or its dead letter not be written, none behind it is
        read.
        """
        place = (message.topic(), message.partition())
        try:
            self._consumer.seek(TopicPartition(*place, message.offset()))
        except (
            KafkaException
        ) as error:  # taken away meanwhile: it is read again from the last commit
            _log.warning("not_read_again", where=where(message), reason=error.args[0].str())
        self._positions[place] = message.offset()

    def _believed(self, message: Any) -> ev.Event:
        event = event_of(message)
        if self._check is not None and (reason := self._check(event)):
            raise UndecodableEventError(f"{where(message)}: {reason}", message)
        return event

    def poll_raw(self, timeout: float = 1.0) -> Any | None:
        """As `poll`, but the message itself, whatever is in it."""
        until = time.monotonic() + timeout
        while (message := self._consumer.poll(max(0.0, until - time.monotonic()))) is not None:
            error = message.error()
            if error is None:
                self._positions[(message.topic(), message.partition())] = message.offset() + 1
                return message
            if is_end(error):
                self._positions[(message.topic(), message.partition())] = message.offset()
            elif passes(error):
                return None
            else:
                raise TransientError(f"reading {', '.join(self._topics)}: {error.str()}")
        return None

    def __iter__(self) -> Iterator[tuple[ev.Event, Any]]:
        """Every event, for ever."""
        while True:
            found = self.poll(1.0)
            if found is not None:
                yield found

    def read_to_end(self, bound_s: float = 30.0) -> Iterator[tuple[ev.Event, Any]]:
        """Every event up to the end as of now; raises NotRunningError when that takes longer than the bound."""
        give_up = time.monotonic() + bound_s
        ends = {place: high for place, position, high in self._places() if position < high}
        while ends:
            found = self.poll(0.2)
            ends = self._behind(ends)
            if found is not None:
                yield found
            elif time.monotonic() > give_up:
                raise NotRunningError(
                    f"{', '.join(self._topics)} could not be read to the end in {bound_s} s: is the broker up?"
                )

    def messages_to_end(self, bound_s: float = 30.0) -> Iterator[Any]:
        """As `read_to_end`, but the messages themselves, whatever is in them; the bound is that of a pause between two."""
        ends = {place: high for place, position, high in self._places() if position < high}
        give_up = time.monotonic() + bound_s
        while ends:
            message = self.poll_raw(0.2)
            ends = self._behind(ends)
            if message is not None:
                give_up = time.monotonic() + bound_s
                yield message
            elif time.monotonic() > give_up:
                raise NotRunningError(
                    f"{', '.join(self._topics)} could not be read to the end: is the broker up?"
                )

    def _behind(self, ends: Mapping[tuple[str, int], int]) -> dict[tuple[str, int], int]:
        """Of these ends those that are not reached."""
        return {
            place: high for place, high in ends.items() if self._positions.get(place, -1) < high
        }

    def at_end(self) -> bool:
        """True when everything that Kafka has now was returned by `poll`."""
        return self.lag() == 0

    def lag(self) -> int:
        """Messages that Kafka has now and `poll` has not returned."""
        return sum(max(0, high - position) for _, position, high in self._places())

    @cached_property
    def _ends(self) -> Consumer:
        """Asks where topics end, on a connection of its own: a broker answers one in order, and holds an idle reader's fetch for half a second."""
        return Consumer(
            self._settings.kafka_client(
                group_id=f"ends-{uuid.uuid4().hex}", enable_auto_commit=False
            )
        )

    def _places(self) -> Iterator[tuple[tuple[str, int], int, int]]:
        """(topic and partition, position, end as of now) of all that is read."""
        for partition in self._consumer.assignment():
            place = (partition.topic, partition.partition)
            low, high = range_of(self._ends, *place, ASK_S)
            yield place, max(self._positions.get(place, self._start(partition, low)), low), high

    def commit(self, message: Any) -> None:
        """With a group: all up to this message is handled. Raises NotRunningError; what is not
        committed is read again after a restart.
        """
        try:
            self._consumer.commit(message=message, asynchronous=False)
        except KafkaException as error:
            raise unread(f"commit of {where(message)}", error.args[0]) from error

    def close(self) -> None:
        self._consumer.close()
        if "_ends" in self.__dict__:
            self._ends.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self, partition: TopicPartition, low: int) -> int:
        """Where reading of a partition began, when nothing was returned from it yet."""
        found = self._consumer.position([partition])[0].offset
        return found if found >= 0 else low

    def _assign(self, from_beginning: bool) -> None:  # noqa: FBT001
        wanted = []
        for topic in self._topics:
            for number in partitions(self._consumer, topic, ASK_S):
                if from_beginning:
                    wanted.append(TopicPartition(topic, number, OFFSET_BEGINNING))
                else:
                    high = range_of(self._consumer, topic, number, ASK_S).high
                    self._positions[(topic, number)] = high
                    wanted.append(TopicPartition(topic, number, high))
        self._consumer.assign(wanted)


def pass_over(message: Any, reason: str) -> None:
    """The `refused` of a reader that only looks: a service that acts on the topic makes a dead letter of such a message."""
    _log.debug("message_passed_over", where=where(message), reason=reason)


def patient(reader: EventReader) -> Iterator[tuple[ev.Event, Any]]:
    """Every event, for ever; while Kafka does not answer, or takes no dead letter, this waits."""
    while True:
        try:
            found = reader.poll(1.0)
        except TransientError as error:
            _log.warning("reading_waits", reason=str(error))
            time.sleep(PAUSE_S)
        else:
            if found is not None:
                yield found
