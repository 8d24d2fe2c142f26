"""Faust as a carrier of messages: its agents, its assignment of partitions, its producer."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Mapping
from pathlib import Path
from typing import Any

import faust
import structlog
from aiokafka.errors import MessageSizeTooLargeError
from faust.exceptions import ProducerSendError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from twinstream.mesh import kafka_security
from twinstream.mesh.carrier import Carried, TopicPartition, WorkerOptions
from twinstream.mesh.carrying import FAILED, end, never_taken
from twinstream.mesh.eager import begun
from twinstream.mesh.kafka import declared
from twinstream.mesh.settings import MeshSettings
from twinstream.mesh.topics_admin import MAX_MESSAGE_BYTES

_log = structlog.get_logger()
YIELD_EVERY = 100


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
            mine = {tp for tp in self.assignment() if tp.topic in self.app.options.topics}
            partitions = {TopicPartition(*tp) for tp in mine}
            positions = await self.app.carried.start_offsets(partitions) if partitions else {}
            await self.seek_wait(_of_faust(positions))
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


class FaustCarrier(faust.App):
    """A Faust app that reads `options.topics` as raw bytes and hands each message to `carried`, one at a time."""

    def __init__(
        self,
        settings: MeshSettings,
        options: WorkerOptions,
        carried: Carried,
    ) -> None:
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

    async def seek(self, positions: Mapping[TopicPartition, int]) -> None:
        """Read on from here; messages under way are still handed over before those from here."""
        await self.consumer.seek_wait(_of_faust(positions))

    def ended(self) -> str:
        """See the port."""
        return repr(self.crash_reason) if self.crashed or self.should_stop else ""

    async def earliest_offsets(self, *places: TopicPartition) -> dict[TopicPartition, int]:
        """See the port."""
        found = await self.consumer.earliest_offsets(*(TP(*place) for place in places))
        return {TopicPartition(*place): offset for place, offset in found.items()}

    def highwater(self, place: TopicPartition) -> int | None:
        """See the port."""
        return self.consumer.highwater(TP(*place))

    async def send(
        self,
        topic: str,
        partition: int,
        value: bytes,
    ) -> Awaitable[Any]:  # type: ignore[override]
        """Enqueue in order; await the answer to know that Kafka has it. Raises MessageRefusedError
        for what is too large.
        """
        declared.writing(topic)
        try:
            sent = await self.producer.send(topic, None, value, partition, None, None)
        except ProducerSendError as error:
            if isinstance(error.__cause__, MessageSizeTooLargeError):
                raise never_taken(topic, partition, value) from error
            raise
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


ALWAYS = {
    "consumer_auto_offset_reset": "earliest",
    "consumer_max_fetch_size": 8_388_608,
    "broker_session_timeout": 6.0,
    "broker_heartbeat_interval": 2.0,
    "broker_request_timeout": 300.0,
    "producer_request_timeout": 30.0,
    "producer_max_request_size": MAX_MESSAGE_BYTES,
    "producer_acks": -1,
    "stream_wait_empty": False,
    "topic_allow_declare": False,
    "topic_disable_leader": True,
    "web_enabled": False,
    "store": "memory://",
}
"""Faust's settings of every worker."""


def configuration(
    settings: MeshSettings,
    options: WorkerOptions,
    folder: Path,
) -> dict[str, Any]:
    """Faust's settings of a worker that keeps its own state in `folder`."""
    return {
        **ALWAYS,
        "broker_credentials": kafka_security.for_faust(settings.kafka_security()),
        "broker": [f"kafka://{address.strip()}" for address in settings.kafka.split(",")],
        "datadir": str(folder),
        "consumer_group_instance_id": f"{options.name}-{options.instance}@{socket.gethostname()}",
        "producer_linger": options.linger_s,
        "stream_buffer_maxsize": options.buffered,
    }


def _of_faust(positions: Mapping[TopicPartition, int]) -> dict[TP, int]:
    return {TP(*place): offset for place, offset in positions.items()}
