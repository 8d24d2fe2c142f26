"""The port `SealRequests` over Kafka: everything that was ever asked for, from the beginning."""

from __future__ import annotations

import structlog

from ingest_svc.ports import DeadLetterSink
from schemas.events import EpochSealRequested, Event
from schemas.topics import topic_of
from twinstream.errors import UndecodableEventError
from twinstream.mesh.events import EventReader
from twinstream.mesh.settings import MeshSettings

_log = structlog.get_logger()


class KafkaSeals:
    """Reads seal requests; what is none is dead-lettered."""

    def __init__(self, settings: MeshSettings, dead_letters: DeadLetterSink) -> None:
        self._reader = EventReader(settings, [topic_of(EpochSealRequested)])
        self._dead_letters = dead_letters

    def poll(self) -> list[Event]:
        """Requests that came since the last call."""
        found: list[Event] = []
        while True:
            try:
                event = self._reader.poll(0)
            except UndecodableEventError as error:
                dead_letter_event(self._dead_letters, error)
                continue
            if event is None:
                return found
            found.append(event[0])

    def close(self) -> None:
        self._reader.close()


def dead_letter_event(dead_letters: DeadLetterSink, error: UndecodableEventError) -> None:
    """PutDead a control message that is no event."""
    message = error.message
    dead_letters.put(message.value() or b"", str(error), topic=message.topic(), partition=message.partition(), offset=message.offset())
    _log.warning("dead_letter", topic=message.topic(), offset=message.offset(), reason=str(error))
