"""Control events over Kafka as CloudEvents 1.0 in binary mode: attributes in the headers, JSON in the value."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, NamedTuple, Self

import msgspec
import structlog
from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    TopicPartition,
)

from schemas import events as ev
from schemas.plausible import not_finite, refusal
from schemas.topics import topic_of
from twinstream.errors import (
    NotFiniteError,
    NotRunningError,
    PublishError,
    QueueFullError,
    TransientError,
    UndecodableEventError,
)
from twinstream.mesh.kafka.errors import MESSAGE_BYTES, passes, unread, unsent
from twinstream.mesh.kafka.positions import partitions, range_of
from twinstream.mesh.kafka.producer import RenewedProducer
from twinstream.mesh.settings import MeshSettings

Headers = Sequence[tuple[str, bytes]]
Refused = Callable[[Any, str], None]
"""Takes a message that cannot be acted on, and why; see `Quarantine.refuse`."""
Check = Callable[[ev.Event], str]
"""Why its reader cannot believe an event that is plausible by itself; "" when it can."""
DELIVERY_BOUND_S = 30.0
PAUSE_S = 1.0
ASK_S = 10.0
_log = structlog.get_logger()


def cloud_headers(
    type_name: str, source: str, content_type: str = "application/json"
) -> list[tuple[str, bytes]]:
    """CloudEvents attributes of one event that happens now."""
    return [
        ("ce_specversion", b"1.0"),
        ("ce_id", uuid.uuid4().hex.encode()),
        ("ce_source", source.encode()),
        ("ce_type", type_name.encode()),
        ("ce_time", datetime.now(UTC).isoformat().encode()),
        ("content-type", content_type.encode()),
    ]


class Place(NamedTuple):
    """Where a message stands."""

    topic: str
    partition: int
    offset: int


class _Sent:
    """What became of one message; set by the thread that serves delivery reports."""

    def __init__(self) -> None:
        self.answered = threading.Event()
        self.place: Place | None = None
        self.error: Exception | None = None

    def delivered(self, error: KafkaError | None, message: Any) -> None:
        if error is None:
            self.place = Place(message.topic(), message.partition(), message.offset())
        else:
            self.error = unsent(message.topic(), error, len(message))
        self.answered.set()


class EventPublisher:
    """Publishes events to their topics, in order, each until every replica in sync has it. Safe for
    threads.

    Its producer is made anew when Kafka does not take it for the one that it knew.
    """

    def __init__(
        self,
        settings: MeshSettings,
        source: str,
        *,
        partitioner: str = "",
        lost: Callable[[int], None] | None = None,
        most_waiting: int = 100_000,
        bound_s: float = DELIVERY_BOUND_S,
    ) -> None:
        """A message that Kafka has not taken after `bound_s` has failed.

        With `lost` a message that is not waited for waits for Kafka as long as it takes, in memory,
        at most so many of them.
        Nothing blocks then, and each one that is lost all the same is told to `lost`.
        """
        self._source, self._lost, self._bound_s = source, lost, bound_s
        self._failures: list[str] = []
        self._producer = RenewedProducer(
            settings.kafka_client(
                acks="all",
                enable_idempotence=True,
                linger_ms=1,
                message_max_bytes=MESSAGE_BYTES,
                queue_buffering_max_messages=most_waiting,
                message_timeout_ms=int(bound_s * 1000) if lost is None else 0,
                compression_type="lz4",
                **({"partitioner": partitioner} if partitioner else {}),
            )
        )

    def publish(
        self, event: ev.Event, key: str | bytes | None = None, *, wait: bool = True
    ) -> Place | None:
        """Send one event; with `wait`, return its place when Kafka has it, else fail on a later call or `flush`.

        Raises PublishError naming topic and cause, MessageRefusedError for an event that is too
        large, NotFiniteError
        for one with a number that JSON cannot hold.
        """
        if found := not_finite(event):
            raise NotFiniteError(
                f"a {type(event).__name__} was not published: {found} is not a finite number"
            )
        return self.publish_raw(
            topic_of(event),
            ev.encode(event),
            key,
            cloud_headers(type(event).__name__, self._source),
            wait=wait,
        )

    def publish_raw(
        self,
        topic: str,
        value: bytes,
        key: str | bytes | None,
        headers: Headers,
        *,
        wait: bool = True,
        partition: int = -1,
    ) -> Place | None:
        """Send bytes with given headers, to `partition` unless that is -1; otherwise as `publish`."""
        self._raise_failures()
        message = {"value": value, "key": key, "headers": headers, "partition": partition}
        if wait:
            return self._send_and_wait(topic, message)
        try:
            self._producer.enqueue(
                topic,
                self._bound_s if self._lost is None else 0.0,
                on_delivery=self._noted,
                **message,
            )
        except QueueFullError:
            if self._lost is None:
                raise
            self._lost(1)
        self._producer.poll(0)
        return None

    def __len__(self) -> int:
        """Messages that wait for Kafka."""
        return len(self._producer)

    def flush(self, timeout_s: float | None = None) -> None:
        """Return when Kafka has everything published so far; raises PublishError otherwise."""
        timeout_s = self._bound_s if timeout_s is None else timeout_s
        left = self._producer.flush(timeout_s)
        self._raise_failures()
        if left:
            raise PublishError(f"{left} messages not taken within {timeout_s} s: is the broker up?")

    close = flush

    def _noted(self, error: KafkaError | None, message: Any) -> None:
        """Of a message that nobody waits for."""
        if error is None:
            return
        if self._lost is not None:
            self._lost(1)
        else:
            self._failures.append(str(unsent(message.topic(), error, len(message))))

    def _send_and_wait(self, topic: str, message: dict[str, Any]) -> Place | None:
        sent = _Sent()
        self._producer.enqueue(topic, self._bound_s, on_delivery=sent.delivered, **message)
        give_up = time.monotonic() + self._bound_s + 5
        while not sent.answered.is_set():
            self._producer.poll(0.05)
            if time.monotonic() > give_up:
                raise PublishError(
                    f"{topic}: no answer within {self._bound_s} s: is the broker up?"
                )
        if sent.error is not None:
            raise sent.error
        return sent.place

    def _raise_failures(self) -> None:
        """Of messages that nobody waited for: whoever is told now is not to blame, so this is never
        a permanent error.
        """
        if self._failures:
            failures, self._failures = self._failures, []
            raise PublishError("; ".join(failures[:3]))


LONGEST_HANDLING_MS = 86_400_000
"""A member of a group may take so long over one event: a file of tens of gigabytes is read through when it arrives."""
SESSION_MS = 6000
"""So long a group waits for a member that was killed; with the client's own 45 s its successor would wait as long for its first event."""


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
                enable_partition_eof=False,
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
            _log.warning("not_read_again", where=_where(message), reason=error.args[0].str())
        self._positions[place] = message.offset()

    def _believed(self, message: Any) -> ev.Event:
        event = event_of(message)
        if self._check is not None and (reason := self._check(event)):
            raise UndecodableEventError(f"{_where(message)}: {reason}", message)
        return event

    def poll_raw(self, timeout: float = 1.0) -> Any | None:
        """As `poll`, but the message itself, whatever is in it."""
        message = self._consumer.poll(timeout)
        if message is None:
            return None
        error = message.error()
        if error is not None:
            if passes(error):
                return None
            raise TransientError(f"reading {', '.join(self._topics)}: {error.str()}")
        self._positions[(message.topic(), message.partition())] = message.offset() + 1
        return message

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
            ends = {
                place: high for place, high in ends.items() if self._positions.get(place, -1) < high
            }
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
            if message is not None:
                place = (message.topic(), message.partition())
                give_up = time.monotonic() + bound_s
                if message.offset() + 1 >= ends.get(place, 0):
                    ends.pop(place, None)
                yield message
            elif time.monotonic() > give_up:
                raise NotRunningError(
                    f"{', '.join(self._topics)} could not be read to the end: is the broker up?"
                )

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
            raise unread(f"commit of {_where(message)}", error.args[0]) from error

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
    _log.debug("message_passed_over", where=_where(message), reason=reason)


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


def headers_of(message: Any) -> Headers:
    """The headers of a message that confluent-kafka gave; none when the name of one is not UTF-8, which it cannot give."""
    try:
        return message.headers() or ()
    except UnicodeDecodeError:
        return ()


def event_of(message: Any) -> ev.Event:
    """The plausible event that a message carries; raises UndecodableEventError with the message as its attribute."""
    headers = {name: value or b"" for name, value in headers_of(message)}
    type_name = headers.get("ce_type", b"").decode(errors="replace")
    try:
        event = ev.decode(type_name, message.value() or b"")
    except (KeyError, ValueError, msgspec.MsgspecError, RecursionError) as cause:
        reason = f"{_where(message)} is not a {type_name[:80] or 'named event'}: {cause}"
        raise UndecodableEventError(reason, message) from cause
    if reason := refusal(event, message.topic(), time.time_ns() // 1000):
        raise UndecodableEventError(f"{_where(message)} is not plausible: {reason}", message)
    return event


def _where(message: Any) -> str:
    return f"{message.topic()}[{message.partition()}]@{message.offset()}"
