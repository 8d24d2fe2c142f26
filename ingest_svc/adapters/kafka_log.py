"""Appends to the logs through librdkafka's idempotent producer:
in order, without a gap, until Kafka has it or the process ends.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from confluent_kafka import KafkaError

from ingest_svc.adapters.kafka_notes import CRITICAL, note
from ingest_svc.log_writer import LogMessage
from ingest_svc.ports import Confirmed, Place
from schemas.packs import PackHeader
from schemas.topics import records_accepted
from twinstream.errors import PublishError
from twinstream.mesh.kafka.errors import MESSAGE_BYTES
from twinstream.mesh.kafka.producer import KafkaProducer
from twinstream.mesh.settings import MeshSettings


class KafkaLog:
    """A message never times out here: one that did, while the next went through, would be a hole
    that covers records.
    """

    def __init__(
        self,
        settings: MeshSettings,
        sources: Mapping[str, object],
        confirm_s: float,
        stopping: threading.Event,
    ) -> None:
        """Once `stopping` is set nothing is waited for longer than `confirm_s`."""
        self._topics = {name: records_accepted(name) for name in sources}
        self._confirm_s, self._stopping = confirm_s, stopping
        self._confirmed: list[Confirmed] = []
        self._failed: list[str] = []
        self._producer = KafkaProducer(_options(settings))

    def send(self, place: Place, message: LogMessage) -> None:
        """Hand one message to librdkafka."""
        arguments: dict[str, Any] = {
            "partition": place.partition,
            "value": message.data,
            "timestamp": max(0, message.header.known_max_us // 1000),
            "on_delivery": partial(self._delivered, place, message.header),
        }
        self._producer.enqueue(self._topics[place.source], math.inf, **arguments)

    def confirmed(self) -> list[Confirmed]:
        """What was confirmed since the last call; raises PublishError for what was refused."""
        self._producer.poll(0)
        if self._failed:
            raise PublishError(
                f"the log cannot be written: {'; '.join(self._failed[:3])}; "
                "nothing is lost, a restart goes on from the log"
            )
        confirmed, self._confirmed = self._confirmed, []
        return confirmed

    def flush(self) -> list[Confirmed]:
        """`confirmed`, once Kafka has everything, however long that takes; raises PublishError
        after a bound when stopping.
        """
        give_up = math.inf
        while len(self._producer) and not self._failed:
            self._producer.flush(0.2)
            if self._stopping.is_set():
                give_up = min(give_up, time.monotonic() + self._confirm_s)
            if len(self._producer) and time.monotonic() > give_up:
                raise PublishError(
                    f"{len(self._producer)} log messages not confirmed within "
                    f"{self._confirm_s} s: is the broker up?"
                )
        return self.confirmed()

    def _delivered(
        self,
        place: Place,
        header: PackHeader,
        error: KafkaError | None,
        message: Any,
    ) -> None:
        if error is not None:
            self._failed.append(
                f"{message.topic()}[{place.partition}] raw "
                f"{header.raw_first}..{header.raw_last}: {error.str()}"
            )
        else:
            self._confirmed.append(Confirmed(place, header, message.offset()))


def _options(settings: MeshSettings) -> dict[str, Any]:
    return {
        "log_level": CRITICAL,
        "error_cb": note,
        **settings.kafka_client(
            acks="all",
            enable_idempotence=True,
            enable_gapless_guarantee=True,
            message_timeout_ms=0,
            linger_ms=1,
            message_max_bytes=MESSAGE_BYTES,
            batch_size=MESSAGE_BYTES,
            compression_type="lz4",
            reconnect_backoff_max_ms=500,
            queue_buffering_max_kbytes=262_144,
        ),
    }
