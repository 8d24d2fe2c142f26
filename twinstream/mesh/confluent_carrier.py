"""librdkafka as a carrier of messages: a thread polls, and hands each batch to the worker's event
loop; it polls again when the batch was handled.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Coroutine, Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

import structlog
from confluent_kafka import Consumer, KafkaError, Message
from confluent_kafka import TopicPartition as KafkaPlace

from twinstream.errors import NotRunningError
from twinstream.mesh.carrier import Carried, CarriedMessage, TopicPartition, WorkerOptions
from twinstream.mesh.carrying import FAILED, end
from twinstream.mesh.confluent_sends import ConfluentSends
from twinstream.mesh.eager import begun
from twinstream.mesh.kafka import declared
from twinstream.mesh.kafka.ends import partition_beginnings
from twinstream.mesh.kafka.errors import asking, is_end, passes, unread
from twinstream.mesh.kafka.positions import cached_range
from twinstream.mesh.settings import MeshSettings

T = TypeVar("T")
CRITICAL = 2
"""Of syslog; below it librdkafka repeats each attempt to connect."""
POLL_S = 0.2
"""A seek waits for at most so long in an idle topic."""
PAUSE_S = 1.0
BOUND_S = 10.0
YIELD_EVERY = 100
SESSION_MS = 6_000
MOST_POLL_MS = 1_000_000
"""For how long a batch, or an assignment, may take: a store may wait for its first base."""
_log = structlog.get_logger()


class PolledMessage(NamedTuple):
    """One message."""

    topic: str
    partition: int
    offset: int
    value: bytes


class ConfluentCarrier:
    """Reads `options.topics` as a static member of a group of its own. Partitions move one by one
    (cooperative-sticky): those that stay are read on meanwhile.
    """

    def __init__(
        self,
        settings: MeshSettings,
        options: WorkerOptions,
        carried: Carried,
    ) -> None:
        declared.reading(options.topics)
        self.options = options
        self.carried = carried
        self._sends = ConfluentSends(settings, options)
        self._mine: set[TopicPartition] = set()
        self._seeks: list[tuple[dict[TopicPartition, int], asyncio.Future[None]]] = []
        self._ended = ""
        self._highs: dict[TopicPartition, int] = {}
        self._consumer = Consumer(consumer_options(settings, options))
        self._beginnings = partition_beginnings(settings)
        self._loop: asyncio.AbstractEventLoop

    @property
    def unconfirmed(self) -> int:
        """See the port."""
        return self._sends.unconfirmed

    @property
    def confirmed(self) -> int:
        """See the port."""
        return self._sends.confirmed

    async def start(self) -> None:
        """Subscribe, and poll in a thread."""
        self._loop = asyncio.get_running_loop()
        self._sends.start(self._loop)
        self._consumer.subscribe(
            list(self.options.topics),
            on_assign=self._assigned,
            on_revoke=self._revoked,
            on_lost=self._revoked,
        )
        threading.Thread(target=self._run, name="carrier", daemon=True).start()

    def ended(self) -> str:
        """See the port."""
        return self._ended

    async def seek(self, positions: Mapping[TopicPartition, int]) -> None:
        """Done by the polling thread, before it polls again."""
        done: asyncio.Future[None] = self._loop.create_future()
        self._seeks.append((dict(positions), done))
        await done

    async def send(
        self,
        topic: str,
        partition: int,
        value: bytes,
    ) -> Awaitable[object]:
        """See the port."""
        return self._sends.send(topic, partition, value)

    async def earliest_offsets(self, *places: TopicPartition) -> dict[TopicPartition, int]:
        """Asked of Kafka, however long it takes to answer."""
        while True:
            try:
                found = await asyncio.to_thread(self._beginnings, list(places), BOUND_S)
            except NotRunningError as error:
                _log.warning("beginnings_unknown", reason=str(error))
                await asyncio.sleep(PAUSE_S)
            else:
                return {place: found[place] for place in places}

    def highwater(self, place: TopicPartition) -> int | None:
        """See the port."""
        return self._highs.get(place)

    def _run(self) -> None:
        """The polling thread; an error ends the process."""
        try:
            while True:
                self._do_seeks()
                messages = self._polled()
                self._hear()
                if messages:
                    self._in_loop(self._take(messages))
        except Exception as error:  # noqa: BLE001  a thread has nobody to raise it to
            _log.exception("carrier_failed")
            self._ended = repr(error)

    def _hear(self) -> None:
        """Where partitions end; asked in the polling thread, for another one may wait for ever."""
        for place in self._mine:
            known = cached_range(self._consumer, *place)
            if known is not None:
                self._highs[place] = known.high

    def _polled(self) -> list[CarriedMessage]:
        """What is there; waits for the first only."""
        with asking("messages"):
            found = self._consumer.consume(1, POLL_S)
            if found:
                found += self._consumer.consume(self.options.buffered, 0)
        errors = [error for error in map(Message.error, found) if error is not None]
        if errors:
            for error in errors:
                _check(error)
            found = [message for message in found if message.error() is None]
        return _messages(found)

    async def _take(self, messages: list[CarriedMessage]) -> None:
        """In the worker's loop."""
        for number, message in enumerate(messages, 1):
            try:
                rest = begun(self.carried.handle(message))  # type: ignore[arg-type]
                if rest is not None:
                    await rest
            except Exception:  # noqa: BLE001  the worker's one catch-all: what is not handled ends it
                _log.exception(
                    "handling_failed",
                    topic=message.topic,
                    partition=message.partition,
                    offset=message.offset,
                )
                end(FAILED)
            if number % YIELD_EVERY == 0:
                await asyncio.sleep(0)

    def _assigned(self, consumer: Any, places: list[KafkaPlace]) -> None:
        """In the polling thread, within a poll: nothing is under way."""
        given = {_place(place) for place in places}
        self._mine |= given
        starts = self._in_loop(self.carried.start_offsets(set(self._mine)))
        _begin(consumer, given, starts)
        self._seek({place: offset for place, offset in starts.items() if place not in given})
        _log.info("sought", partitions=len(starts))

    def _revoked(self, consumer: Any, places: list[KafkaPlace]) -> None:
        """The worker lets go of them before another one may take them."""
        self._mine -= {_place(place) for place in places}
        self._in_loop(self.carried.start_offsets(set(self._mine)))
        consumer.incremental_unassign(places)

    def _do_seeks(self) -> None:
        while self._seeks:
            positions, done = self._seeks.pop(0)
            self._seek(positions)
            self._loop.call_soon_threadsafe(_settle, done)

    def _seek(self, positions: Mapping[TopicPartition, int]) -> None:
        """Taken away and given again, a partition forgets what was fetched of it."""
        places = [
            KafkaPlace(*place, offset) for place, offset in positions.items() if place in self._mine
        ]
        if places:
            self._consumer.incremental_unassign(places)
            self._consumer.incremental_assign(places)
            self._consumer.resume(places)

    def _in_loop(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


def _begin(
    consumer: Any,
    given: set[TopicPartition],
    starts: Mapping[TopicPartition, int],
) -> None:
    """Take partitions; those without a start wait for a seek."""
    later = [KafkaPlace(*place) for place in given - starts.keys()]
    sought = [KafkaPlace(*place, starts[place]) for place in given & starts.keys()]
    consumer.incremental_assign(sought + later)
    consumer.pause(later)
    consumer.resume(sought)


def consumer_options(settings: MeshSettings, options: WorkerOptions) -> dict[str, object]:
    """Librdkafka's settings of a worker that keeps its own offsets."""
    return settings.kafka_client(
        log_level=CRITICAL,
        error_cb=_note,
        group_id=f"twinstream-{options.name}-confluent",
        group_instance_id=f"{options.name}-{options.instance}@{socket.gethostname()}",
        session_timeout_ms=SESSION_MS,
        heartbeat_interval_ms=SESSION_MS // 3,
        max_poll_interval_ms=MOST_POLL_MS,
        partition_assignment_strategy="cooperative-sticky",
        enable_auto_commit=False,
        enable_auto_offset_store=False,
        auto_offset_reset="earliest",
        isolation_level="read_uncommitted",
        fetch_wait_max_ms=options.fetch_wait_ms,
        fetch_message_max_bytes=8_388_608,
        queued_max_messages_kbytes=65_536,
        reconnect_backoff_max_ms=500,
    )


def _messages(found: Iterable[Any]) -> list[CarriedMessage]:
    """Methods are mapped, not called one by one."""
    messages = list(found)
    return list(
        map(
            PolledMessage,
            map(Message.topic, messages),
            map(Message.partition, messages),
            map(Message.offset, messages),
            (value or b"" for value in map(Message.value, messages)),
        )
    )


def _place(place: KafkaPlace) -> TopicPartition:
    return TopicPartition(place.topic, place.partition)


def _note(error: KafkaError) -> None:
    """The client reconnects by itself; a fatal error is raised where it polls."""
    _log.warning("kafka_client_error", reason=error.str(), fatal=error.fatal())


def _settle(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_result(None)


def _check(error: KafkaError) -> None:
    if not passes(error) and not is_end(error):
        raise unread("messages", error)
    _log.warning("reading_interrupted", reason=error.str())
