"""Reads arrivals of files, checks them one by one beside the live records, and publishes what is
accepted.
"""

# While S3 does not answer, an arrival waits and those behind it go on;
# what is handled is committed up to the oldest that waits.

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

import msgspec
import structlog

from ingest_svc.file_check import Allowed, FileDecoder
from ingest_svc.handlers import Arrival, Pin, handle_data_arrived, pin_of
from ingest_svc.ports import Events, Meter, Objects
from schemas.events import DataArrived, Event, FileAccepted
from schemas.topics import topic_of
from twinstream.errors import TransientError
from twinstream.mesh.clock import Clock
from twinstream.mesh.dead_letters import DeadLetters
from twinstream.mesh.events import EventReader, pass_over
from twinstream.mesh.quarantine import Quarantine
from twinstream.mesh.settings import MeshSettings

_log = structlog.get_logger()
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 30.0
MOST_WAITING = 1_000
"""So many arrivals may wait for S3; then reading stops until one is through."""


class Waiting(msgspec.Struct):
    """An arrival that S3 kept from being checked, and when it is tried again."""

    message: Any
    event: DataArrived
    attempts: int
    due_s: float


class FileArrivals(threading.Thread):
    """Commits an arrival once everything that follows from it is in Kafka.
    `failure` ends the process.
    """

    def __init__(
        self,
        settings: MeshSettings,
        group: str,
        *,
        decoders: Mapping[str, FileDecoder],
        objects: Objects,
        allowed: Allowed,
        dead_letters: DeadLetters,
        events: Events,
        meter: Meter,
        clock: Clock,
    ) -> None:
        super().__init__(name="files", daemon=True)
        self._settings, self._group = settings, group
        self._decoders, self._objects, self._allowed = decoders, objects, allowed
        self._dead_letters, self._events = dead_letters, events
        self._meter, self._clock = meter, clock
        self._quarantine = Quarantine(settings, "ingest-files", dead_letters, meter)
        self._known: set[Pin] = set()
        self._waiting: list[Waiting] = []
        self._stop = threading.Event()
        self.failure: BaseException | None = None

    def run(self) -> None:
        """Until `stop`; what goes wrong for good lies in `failure`."""
        try:
            refused = self._quarantine.refuse
            with (
                EventReader(
                    self._settings, [topic_of(DataArrived)], self._group, refused=refused
                ) as reader,
                EventReader(
                    self._settings, [topic_of(FileAccepted)], refused=pass_over
                ) as accepted,
            ):
                while not self._stop.is_set():
                    self._patiently(reader, accepted)
        except Exception as error:  # noqa: BLE001
            # handed to the process's own loop, which ends with it
            self.failure = error

    def stop(self) -> None:
        """Leave after the file at hand."""
        self._stop.set()

    def _patiently(self, reader: EventReader, accepted: EventReader) -> None:
        """A round; while Kafka does not answer, none."""
        try:
            self._once(reader, accepted)
        except TransientError as error:
            _log.warning("arrivals_wait", reason=str(error))
            self._stop.wait(FIRST_WAIT_S)

    def _once(self, reader: EventReader, accepted: EventReader) -> None:
        """The next arrival, and those that have waited long enough."""
        event, message = self._next(reader)
        if isinstance(event, DataArrived):
            self._try(Waiting(message, event, 0, 0.0), accepted)
            self._commit(reader, message)
        for waiting in [w for w in self._waiting if time.monotonic() >= w.due_s]:
            self._waiting.remove(waiting)
            self._try(waiting, accepted)

    def _next(self, reader: EventReader) -> tuple[Event | None, Any]:
        """None while too many wait, and when nothing came."""
        found = reader.poll(0.2) if len(self._waiting) < MOST_WAITING else None
        return found or (None, None)

    def _try(self, arrival: Waiting, accepted: EventReader) -> None:
        try:
            self._quarantine.handle(arrival.message, lambda: self._handle(arrival, accepted))
        except TransientError as error:
            self._wait(arrival, error)
        self._meter.gauge("ingest_arrivals_waiting", len(self._waiting), "1")

    def _wait(self, arrival: Waiting, error: TransientError) -> None:
        pause_s = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2**arrival.attempts)
        attempt, due_s = arrival.attempts + 1, time.monotonic() + pause_s
        _log.warning(
            "file_check_waits",
            source=arrival.event.source,
            attempt=attempt,
            pause_s=pause_s,
            reason=str(error),
        )
        self._waiting.append(Waiting(arrival.message, arrival.event, attempt, due_s))

    def _handle(self, arrival: Waiting, accepted: EventReader) -> None:
        self._known |= {
            pin_of(event.source, event.file)
            for event, _ in accepted.read_to_end()
            if isinstance(event, FileAccepted)
        }
        now_us = self._clock.now_us()
        arrived = handle_data_arrived(
            arrival.event,
            self._decoders,
            self._objects,
            allowed=self._allowed,
            known=self._known,
            now_us=now_us,
        )
        self._publish(arrival.message, arrival.event, arrived)

    def _commit(self, reader: EventReader, newest: Any) -> None:
        """Nothing that waits is passed over by a restart; what came behind it is found accepted
        then.
        """
        if not self._waiting:
            reader.commit(newest)

    def _publish(
        self,
        message: Any,
        event: DataArrived,
        arrival: Arrival,
    ) -> None:
        for accepted in arrival.accepted:
            self._events.publish(accepted, accepted.source)
        for uri, reason in arrival.refused:
            self._dead_letters.put_message(message, reason, source=event.source, uri=uri)
        self._measure(event.source, arrival)
        _tell_handled(event.source, arrival)

    def _measure(self, source: str, arrival: Arrival) -> None:
        self._meter.count("ingest_files_accepted_total", len(arrival.accepted), source=source)
        self._meter.count("ingest_files_refused_total", len(arrival.refused), source=source)
        self._meter.count("ingest_files_repeated_total", arrival.repeated, source=source)


def _tell_handled(source: str, arrival: Arrival) -> None:
    _log.info(
        "data_arrival_handled",
        source=source,
        accepted=len(arrival.accepted),
        repeated=arrival.repeated,
        refused=len(arrival.refused),
        reason=arrival.refused[0][1] if arrival.refused else "",
    )
