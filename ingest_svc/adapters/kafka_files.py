"""Reads arrivals of files, checks them one by one beside the live records, and publishes what is accepted."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

import structlog

from ingest_svc.adapters.kafka_seals import dead_letter_event
from ingest_svc.file_check import FileDecoder
from ingest_svc.handlers import Arrival, Pin, handle_data_arrived, pin_of
from ingest_svc.ports import DeadLetterSink, Events, Meter, Objects
from schemas.events import DataArrived, FileAccepted
from schemas.topics import topic_of
from twinstream.errors import MeshError, UndecodableEventError
from twinstream.mesh.clock import Clock
from twinstream.mesh.events import EventReader
from twinstream.mesh.settings import MeshSettings

_log = structlog.get_logger()
RETRIES, FIRST_WAIT_S = 8, 0.5


class FileArrivals(threading.Thread):
    """One event at a time: commits an arrival once everything that follows from it is in Kafka. `failure` ends the process."""

    def __init__(
        self, settings: MeshSettings, group: str, *, decoders: Mapping[str, FileDecoder], objects: Objects, dead_letters: DeadLetterSink,
        events: Events, meter: Meter, clock: Clock,
    ) -> None:  # fmt: skip
        super().__init__(name="files", daemon=True)
        self._settings, self._group, self._decoders, self._objects = settings, group, decoders, objects
        self._dead_letters, self._events, self._meter, self._clock = dead_letters, events, meter, clock
        self._stop = threading.Event()
        self.failure: BaseException | None = None

    def run(self) -> None:
        """Until `stop`; what goes wrong for good stands in `failure`."""
        try:
            with EventReader(self._settings, [topic_of(DataArrived)], self._group) as reader, \
                 EventReader(self._settings, [topic_of(FileAccepted)]) as accepted:  # fmt: skip
                self._run(reader, accepted)
        except Exception as error:  # noqa: BLE001  (handed to the process's own loop, which ends with it)
            self.failure = error

    def stop(self) -> None:
        """Leave after the file at hand."""
        self._stop.set()

    def _run(self, reader: EventReader, accepted: EventReader) -> None:
        known: set[Pin] = set()
        while not self._stop.is_set():
            try:
                found = reader.poll(0.2)
            except UndecodableEventError as error:
                dead_letter_event(self._dead_letters, error)
                reader.commit(error.message)
                continue
            if found is not None and isinstance(found[0], DataArrived):
                known |= {pin_of(event.file) for event, _ in accepted.read_to_end() if isinstance(event, FileAccepted)}
                self._publish(found[1], found[0], self._checked(found[0], known))
                reader.commit(found[1])

    def _checked(self, event: DataArrived, known: set[Pin]) -> Arrival:
        """The arrival's outcome; an S3 service that does not answer is asked again with growing pauses."""
        for attempt in range(RETRIES):
            try:
                return handle_data_arrived(event, self._decoders, self._objects, known, self._clock.now_us())
            except MeshError as error:
                if self._stop.is_set():
                    raise
                _log.warning("file_check_retried", source=event.source, attempt=attempt + 1, reason=str(error))
                self._stop.wait(FIRST_WAIT_S * 2**attempt)
        return handle_data_arrived(event, self._decoders, self._objects, known, self._clock.now_us())

    def _publish(self, message: Any, event: DataArrived, arrival: Arrival) -> None:
        started = time.monotonic()
        for accepted in arrival.accepted:
            self._events.publish(accepted, accepted.source)
        for uri, reason in arrival.refused:
            self._dead_letters.put(
                message.value() or b"", reason, topic=message.topic(), partition=message.partition(), offset=message.offset(),
                source=event.source, uri=uri)
        self._meter.count("ingest_files_accepted_total", len(arrival.accepted), source=event.source)
        self._meter.count("ingest_files_refused_total", len(arrival.refused), source=event.source)
        _log.info("data_arrival_handled", source=event.source, accepted=len(arrival.accepted), repeated=arrival.repeated,
                  refused=len(arrival.refused), reason=arrival.refused[0][1] if arrival.refused else "",
                  publish_ms=round((time.monotonic() - started) * 1000))
