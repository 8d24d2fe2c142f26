"""The rounds of an ingest worker: live records, beside them files, and twice a second how it is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from ingest_svc.adapters.kafka_files import FileArrivals
from ingest_svc.adapters.kafka_raw import KafkaRaw
from ingest_svc.ports import Meter
from ingest_svc.worker import Ingest
from twinstream.errors import NotRunningError
from twinstream.mesh.heartbeat import BackgroundBeat

BEAT_EVERY_S = 0.5
SILENT_GROUP_S = 120.0
"""A group that waits for a member that is no more says nothing for minutes; one that joins under
the same name takes its place.
"""


class Rounds:
    """Runs what the process holds."""

    def __init__(
        self,
        ingest: Ingest,
        raw: KafkaRaw,
        files: FileArrivals,
        *,
        metrics: Meter,
        away: Callable[[], str],
    ) -> None:
        self._ingest, self._raw, self._files = ingest, raw, files
        self._metrics, self._away = metrics, away

    def until(
        self,
        stopping: threading.Event,
        pulse: BackgroundBeat,
    ) -> None:
        """Rounds until `stopping`; then everything is flushed."""
        next_beat = 0.0
        while not stopping.is_set():
            self._ingest.step(self._raw)
            if self._files.failure is not None:
                raise self._files.failure
            if time.monotonic() >= next_beat:
                next_beat = time.monotonic() + BEAT_EVERY_S
                self._tell(pulse)
        self._files.stop()
        self._ingest.flush()
        self._raw.close()

    def _tell(self, pulse: BackgroundBeat) -> None:
        lag = self._ingest.lag(self._raw)
        self._metrics.gauge(
            "ingest_lag_records",
            lag,
            "records",
        )
        lanes = {
            f"{place.source}/{place.partition}": lane.next_raw
            for place, lane in self._ingest.lanes.items()
        }
        pulse.tell(
            self._raw.assignment.known,
            lag,
            {"next_raw": lanes},
        )
        self._join_again()

    def _join_again(self) -> None:
        if self._away():
            self._raw.assignment.excused()
        if self._raw.assignment.waited_s > SILENT_GROUP_S:
            raise NotRunningError(
                f"Kafka answers, but its consumer group has given this worker no partitions for"
                f" {SILENT_GROUP_S:.0f} s: it joins again"
            )
