"""Run-time metrics of a process, sent to the metrics topic once a second by a background thread."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Mapping, Sequence

import structlog

from schemas.events import MetricObserved
from twinstream.errors import MeshError
from twinstream.mesh.clock import Clock, WallClock
from twinstream.mesh.events import EventPublisher
from twinstream.mesh.settings import MeshSettings

Series = tuple[str, tuple[tuple[str, str], ...]]
MAX_OBSERVATIONS = 10_000
MOST_UNSENT = 1000
"""While so many metrics wait for Kafka, nothing is added to them."""
MAX_SERIES = 1000
"""Series of a process between two flushes; a new one beyond it is counted instead,
by the name of its metric.
"""
LONGEST_LABEL = 128
QUANTILES = {"p50": 0.5, "p99": 0.99}
_log = structlog.get_logger()


Counts = dict[Series, float]
Gauges = dict[Series, tuple[float, str]]
Observations = dict[Series, tuple[list[float], str]]


class Metrics:
    """Counters (sent as deltas), gauges (last value) and observations (count, p50, p99, max).
    Safe for threads.
    """

    def __init__(
        self,
        settings: MeshSettings,
        service: str,
        *,
        flush_every_s: float = 1.0,
        clock: Clock | None = None,
    ) -> None:
        self._service = service
        self._clock = clock or WallClock()
        self._lock = threading.Lock()
        self._counts: Counts = {}
        self._gauges: Gauges = {}
        self._seen: Observations = {}
        self._publisher = EventPublisher(settings, f"/{service}", lost=self._note_lost)
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(flush_every_s,), name="metrics", daemon=True
        )
        self._thread.start()

    def count(self, name: str, n: float = 1, **labels: object) -> None:
        """Add `n` to a counter; its name ends in `_total`."""
        if not self._finite(name, n):
            return
        series = _series(name, labels)
        with self._lock:
            series = self._bounded(series, self._counts)
            self._counts[series] = self._counts.get(series, 0) + n

    def gauge(self, name: str, value: float, unit: str = "", **labels: object) -> None:
        """Set a gauge; the last value before a flush is sent."""
        if not self._finite(name, value):
            return
        series = _series(name, labels)
        with self._lock:
            if self._bounded(series, self._gauges) == series:
                self._gauges[series] = (value, unit)
            else:
                self._refuse(name)

    def observe(self, name: str, value: float, unit: str = "", **labels: object) -> None:
        """Add one observation of a distribution; at most 10,000 per flush are kept for the
        quantiles.
        """
        self.observe_all(name, (value,), unit, **labels)

    def observe_all(
        self, name: str, values: Sequence[float], unit: str = "", **labels: object
    ) -> None:
        """Add several observations, as `observe`."""
        finite = [value for value in values if self._finite(name, value)]
        if not finite:
            return
        series = _series(name, labels)
        with self._lock:
            if self._bounded(series, self._seen) != series:
                self._refuse(name)
                return
            kept, _ = self._seen.setdefault(series, ([], unit))
            kept += finite[: MAX_OBSERVATIONS - len(kept)]

    def _bounded(self, series: Series, known: Mapping[Series, object]) -> Series:
        """The series, or while there are too many the one that counts what was refused.
        Called with the lock.
        """
        fits = series in known or len(known) < MAX_SERIES
        return series if fits else _refused(series[0])

    def _refuse(self, name: str) -> None:
        series = _refused(name)
        self._counts[series] = self._counts.get(series, 0) + 1

    def _finite(self, name: str, value: float) -> bool:
        """Whether a value can be sent; one that is not a finite number is counted instead,
        by the name of its metric.
        """
        if math.isfinite(value):
            return True
        self.count("mesh_metrics_refused_total", 1, metric=name)
        return False

    def flush(self) -> None:
        """Send what came together since the last flush.

        While Kafka has not taken that one, it goes on coming together: no count is lost.
        """
        if len(self._publisher) < MOST_UNSENT:
            for metric in self._taken():
                self._publisher.publish(metric, key=metric.name, wait=False)

    def close(self) -> None:
        """Stop the thread and send the rest."""
        self._stop.set()
        self._thread.join(timeout=5.0)
        self.flush()
        self._publisher.flush(5.0)

    def _run(self, flush_every_s: float) -> None:
        while not self._stop.wait(flush_every_s):
            try:
                self.flush()
            except MeshError as error:
                _log.warning("metrics_lost", reason=str(error))

    def _note_lost(self, n: int) -> None:
        _log.warning("metrics_lost", count=n)

    def _taken(self) -> list[MetricObserved]:
        counts, gauges, seen = self._emptied()
        return [
            *(self._metric(s, n, "1", "counter") for s, n in counts.items()),
            *(self._metric(s, value, unit, "gauge") for s, (value, unit) in gauges.items()),
            *(
                self._metric(s, len(values), unit, "summary", summary(values))
                for s, (values, unit) in seen.items()
            ),
        ]

    def _emptied(self) -> tuple[Counts, Gauges, Observations]:
        """What has come since the last time."""
        with self._lock:
            taken = self._counts, self._gauges, self._seen
            self._counts, self._gauges, self._seen = {}, {}, {}
        return taken

    def _metric(
        self,
        series: Series,
        value: float,
        unit: str,
        kind: str,
        quantiles: dict[str, float] | None = None,
    ) -> MetricObserved:
        name, labels = series
        return MetricObserved(
            name=name,
            value=float(value),
            unit=unit,
            service=self._service,
            labels=dict(labels),
            kind=kind,
            quantiles=quantiles or {},
            observed_at_us=self._clock.now_us(),
        )


def summary(values: Iterable[float]) -> dict[str, float]:
    """Nearest-rank p50 and p99, and max, of at least one value."""
    ordered = sorted(values)
    ranks = {name: min(len(ordered) - 1, int(q * len(ordered))) for name, q in QUANTILES.items()}
    return {
        **{name: float(ordered[rank]) for name, rank in ranks.items()},
        "max": float(ordered[-1]),
    }


def _series(name: str, labels: dict[str, object]) -> Series:
    return name, tuple(sorted((key, str(value)[:LONGEST_LABEL]) for key, value in labels.items()))


def _refused(name: str) -> Series:
    return _series("mesh_metrics_refused_total", {"metric": name})
