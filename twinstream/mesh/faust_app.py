"""Faust as a carrier of messages: assignment, fetching and sending are its; where to read from and what was done are ours.

Nothing is committed. A worker that stands still, or whose loop does, ends; its supervisor starts it again.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, Protocol

import faust
import msgspec
import structlog
import uvloop
from aiokafka.errors import MessageSizeTooLargeError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from twinstream.errors import MessageRefusedError
from twinstream.mesh import collecting, kafka_security
from twinstream.mesh.eager import begun
from twinstream.mesh.ending import gone
from twinstream.mesh.exit_codes import OK, WORKER_FAILED
from twinstream.mesh.kafka import declared, ends
from twinstream.mesh.kafka.ends import EndsWatched
from twinstream.mesh.process import Process
from twinstream.mesh.service import Own
from twinstream.mesh.settings import MeshSettings
from twinstream.mesh.topics_admin import MAX_MESSAGE_BYTES

_log = structlog.get_logger()
YIELD_EVERY = 100
FAILED = WORKER_FAILED


class Carried(Protocol):
    """What a worker makes of the topics that it reads. All is called in the worker's event loop."""

    async def start_offsets(self, partitions: set[TP]) -> Mapping[TP, int]:
        """Where to read each partition of a new assignment from; called again at will, also for partitions being read."""

    async def handle(self, message: Any) -> None:
        """Take one message: `topic`, `partition`, `offset`, `value`. Some may come twice, or ahead of what was asked for."""

    def next_offsets(self) -> Mapping[TP, int]:
        """The offset of the next message to be handled, for every partition being read."""


class WorkerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How one worker reads and sends."""

    name: str
    topics: tuple[str, ...]
    instance: str = "1"
    """Names this worker among those of its kind on this host: a restarted one takes its partitions back at once."""
    linger_s: float = 0.003
    """For how long a send waits for others to go with it."""
    fetch_wait_ms: int = 500
    """For how long the broker holds an empty fetch."""
    stall_s: int = 20
    """A worker that is behind and does not move for this long ends."""
    buffered: int = 512
    """Messages taken from Kafka and not yet handled."""


class _Forgetful(dict[TP, int | None]):
    """Stands for Faust's record of offsets already read, by which it drops what lies before: after a seek back that is wrong."""

    def __getitem__(self, _: TP) -> None:
        return None

    def __setitem__(self, _: TP, __: int | None) -> None:
        return


class _Thread(driver.AIOKafkaConsumerThread):
    """Faust fixes the fetch wait at 1.5 s, for which a seek has to wait in an idle topic."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = self.app.options.fetch_wait_ms  # noqa: SLF001
        return consumer


class _Consumer(driver.Consumer):
    """Seeks to where the worker says, never to a committed offset."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._read_offset = _Forgetful()
        self._seeking = asyncio.Lock()

    def _new_consumer_thread(self) -> _Thread:
        return _Thread(self, loop=self.loop, beacon=self.beacon)

    async def perform_seek(self) -> None:
        """Runs at least once in every rebalance, often twice at the same time."""
        async with self._seeking:
            partitions = {tp for tp in self.assignment() if tp.topic in self.app.options.topics}
            positions = dict(await self.app.carried.start_offsets(partitions)) if partitions else {}
            await self.seek_wait(positions)
            _log.info("sought", partitions=len(positions))

    async def _commit(self, offsets: Any) -> bool:  # noqa: ARG002
        return True

    async def _drain_messages(self, fetcher: Any) -> None:
        """Faust's own loop makes four tasks for each message, to be able to give up one that waits; few have to wait."""
        while not (self._stopped.is_set() or fetcher._stopped.is_set()):  # noqa: SLF001
            handed = 0
            async for _, message in self.getmany(timeout=1.0):
                rest = begun(self.callback(message))
                if rest is not None:
                    await self.wait_first(rest, self.suspend_flow.wait())
                handed += 1
                if handed % YIELD_EVERY == 0:
                    await asyncio.sleep(0)  # lets the agent take what was handed over
            await asyncio.sleep(0)


class _Producer(driver.Producer):
    """Sends in order and, within this process's life, once."""

    def _settings_extra(self) -> Mapping[str, Any]:
        return {"acks": "all", "enable_idempotence": True}


class _Transport(driver.Transport):
    Consumer = _Consumer
    Producer = _Producer


class CarrierApp(faust.App):
    """A Faust app that reads `options.topics` as raw bytes and hands each message to `carried`, one at a time."""

    def __init__(self, settings: MeshSettings, options: WorkerOptions, carried: Carried) -> None:
        declared.reading(options.topics)
        self.options = options
        self.carried = carried
        self.unconfirmed = self.confirmed = 0
        """Messages sent that Kafka has not, and has, said to have."""
        self.settings = settings
        folder = Path(settings.data) / "faust" / f"{options.name}-{options.instance}"
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(f"twinstream-{options.name}", **configuration(settings, options, folder))
        self._read_all()

    def _new_transport(self) -> _Transport:
        return _Transport(self.conf.broker_consumer, self)

    def _new_producer_transport(self) -> _Transport:
        return _Transport(self.conf.broker_producer, self)

    async def seek(self, positions: Mapping[TP, int]) -> None:
        """Read on from here; messages under way are still handed over before those from here."""
        await self.consumer.seek_wait(positions)

    async def send(self, topic: str, partition: int, value: bytes) -> Awaitable[Any]:  # type: ignore[override]
        """Enqueue in order; await the answer to know that Kafka has it. Raises MessageRefusedError
        for what is too large.
        """
        declared.writing(topic)
        try:
            sent = await self.producer.send(topic, None, value, partition, None, None)
        except MessageSizeTooLargeError as error:
            raise MessageRefusedError(
                f"{topic}[{partition}]: Kafka never takes a message of {len(value)} bytes; a view with fewer states "
                f"a key, or smaller packs (TWINSTREAM_INGEST_PACK_ROWS), make smaller ones"
            ) from error
        self.unconfirmed += 1
        sent.add_done_callback(self._confirmed)
        return sent

    def _confirmed(self, sent: asyncio.Future[Any]) -> None:
        self.unconfirmed -= 1
        self.confirmed += 1
        if sent.cancelled() or sent.exception() is not None:
            reason = "cancelled" if sent.cancelled() else repr(sent.exception())
            _log.error("message_not_sent", reason=reason)
            end(FAILED)

    def _read_all(self) -> None:
        topic = self.topic(
            *self.options.topics, key_serializer="raw", value_serializer="raw", acks=False
        )

        @self.agent(topic, concurrency=1)
        async def carry(stream: Any) -> None:
            async for event in stream.noack().events():
                try:
                    await self.carried.handle(event.message)
                except Exception:  # noqa: BLE001  the worker's one catch-all: what is not handled ends it
                    m = event.message
                    _log.exception(
                        "handling_failed", topic=m.topic, partition=m.partition, offset=m.offset
                    )
                    end(FAILED)


def configuration(settings: MeshSettings, options: WorkerOptions, folder: Path) -> dict[str, Any]:
    """Faust's settings of a worker that keeps its own state in `folder`."""
    return {
        "broker_credentials": kafka_security.for_faust(settings.kafka_security()),
        "broker": [f"kafka://{address.strip()}" for address in settings.kafka.split(",")],
        "datadir": str(folder),
        "consumer_group_instance_id": f"{options.name}-{options.instance}@{socket.gethostname()}",
        "consumer_auto_offset_reset": "earliest",
        "consumer_max_fetch_size": 8_388_608,
        "broker_session_timeout": 6.0,
        "broker_heartbeat_interval": 2.0,
        "broker_request_timeout": 300.0,
        "producer_request_timeout": 30.0,
        "producer_linger": options.linger_s,
        "producer_max_request_size": MAX_MESSAGE_BYTES,
        "producer_acks": -1,
        "stream_buffer_maxsize": options.buffered,
        "stream_wait_empty": False,
        "topic_allow_declare": False,
        "topic_disable_leader": True,
        "web_enabled": False,
        "store": "memory://",
    }


def run(
    process: Process[Own],
    app: CarrierApp,
    beat: Callable[[int | None], None],
    tasks: Iterable[Callable[[], Awaitable[None]]] = (),
    loop: asyncio.AbstractEventLoop | None = None,
) -> NoReturn:
    """Run a worker until it is told to stop (exit 0) or fails (exit 70). `beat(lag)` is called once
    a second; `tasks` run beside.

    While Kafka cannot be reached, a worker that does not move waits, and does not hang.
    """
    loop = loop or event_loop()
    process.ending.on_stop(lambda: end(OK))
    watched = ends.watched(app.settings, app.options.topics)
    try:
        loop.run_until_complete(_main(app, beat, list(tasks), lambda: process.reach.away, watched))
    except BaseException:  # noqa: BLE001
        _log.exception("worker_failed")
    end(FAILED)


def event_loop() -> asyncio.AbstractEventLoop:
    """This thread's loop from now on; those that Faust makes for its own threads are of the same kind."""
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    return loop


def end(status: int) -> NoReturn:
    """Leave now. Nothing needs a goodbye: what was done stands in Kafka or in the store, with its place."""
    _log.info("worker_ended", status=status)
    gone(status)


async def _main(
    app: CarrierApp,
    beat: Callable[[int | None], None],
    tasks: list[Callable[[], Awaitable[None]]],
    away: Callable[[], str],
    watched: EndsWatched,
) -> None:
    watchdog = Watchdog(app.options.stall_s)
    beat(None)
    await app.start()
    running = [asyncio.ensure_future(task()) for task in tasks]
    collecting.rarely()
    while not (app.crashed or app.should_stop):
        following = app.carried.next_offsets()
        lag = watched.lag(following)
        awaited = not away()
        beat(lag)
        watchdog.tick(
            Work("to read", (lag or 0) * awaited, tuple(following.items())),
            Work("to be confirmed", app.unconfirmed * awaited, app.confirmed),
        )
        done, _ = await asyncio.wait(
            [*running, asyncio.ensure_future(asyncio.sleep(1.0))],
            return_when=asyncio.FIRST_COMPLETED,
        )
        for task in done & set(running):
            task.result()
            running.remove(task)
    _log.error("worker_crashed", reason=repr(app.crash_reason))


class Work(NamedTuple):
    """What a worker has to do of one kind: how much is left, and something that changes when it
    does some of it.
    """

    kind: str
    left: int
    done: object


class Watchdog:
    """Ends the process when work is left and none is done, or when its event loop stands still.

    It counts its own seconds, so a stopped process that goes on is not taken for one that hangs.
    """

    def __init__(self, stall_s: int) -> None:
        self._stall_s = stall_s
        self._ticked = threading.Event()
        self._done: dict[str, object] = {}
        self._stood_s: dict[str, int] = {}
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def tick(self, *works: Work) -> None:
        """Called once a second by the loop that is watched."""
        self._ticked.set()
        for work in works:
            moved = not work.left or work.done != self._done.get(work.kind)
            self._done[work.kind] = work.done
            self._stood_s[work.kind] = 0 if moved else self._stood_s.get(work.kind, 0) + 1
            if self._stood_s[work.kind] >= self._stall_s:
                _log.error("worker_stood_still", **work._asdict(), seconds=self._stall_s)
                end(FAILED)

    def _watch(self) -> None:
        silent_s = 0
        while True:
            came = self._ticked.wait(1.0)
            self._ticked.clear()
            silent_s = 0 if came else silent_s + 1
            if silent_s >= max(3 * self._stall_s, 60):
                _log.error("event_loop_hangs", seconds=silent_s)
                end(FAILED)
