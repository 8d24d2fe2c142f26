"""Run-time metrics of all services as they pass: the newest value of every series,
and a second-by-second history of the charted ones.
"""

from __future__ import annotations

import re
import sys
from collections import deque
from collections.abc import Callable

import msgspec

from monitor_svc.admission import Admission, Series, odd, series_of
from schemas.events import MetricObserved
from schemas.plausible import LAST_US

SECOND_US = 1_000_000
SETTLE_S = 3
"""A second is drawn this long after it ended: every process flushes once a second,
and the way here takes some time.
"""
SMOOTH_S = 5
"""Rates and quantiles are taken over this many seconds."""
TO_MS = {"s": 1000.0, "ms": 1.0, "us": 0.001, "ns": 1e-6}
LARGEST = sys.float_info.max
MOST_LINES = 200
MOST_OF_A_SECOND = 1000
"""Values of one line in one second; what comes beyond it is not drawn."""
AHEAD_US = 60 * SECOND_US
"""A metric whose time is further ahead of this host's clock is not drawn:
it would push what is true out of the history.
"""


class Chart(msgspec.Struct, frozen=True):
    """Which metrics feed a chart: by the metric's name; `by` is the label that splits it into lines
    ("service": the writer).
    """

    id: str
    pattern: re.Pattern[str]
    kind: str
    by: str = ""


CHARTS: tuple[Chart, ...] = (
    Chart("logged", re.compile("ingest_records_logged_total"), "counter", "source"),
    Chart("freshness", re.compile("view_freshness_ms"), "summary"),
    Chart("latency", re.compile("predict_answer_ms"), "summary"),
    Chart("lag", re.compile(r"\w+_lag_(messages|records)"), "gauge", "service"),
    Chart("seam_difference", re.compile(r"(\w+_)?seam_difference"), "gauge"),
)


class Latest(msgspec.Struct, frozen=True, kw_only=True):
    """The newest value of one series; of a counter also its sum since this monitor started to
    read.
    """

    name: str
    service: str
    labels: dict[str, str]
    kind: str
    unit: str
    value: float
    total: float
    quantiles: dict[str, float]
    at_us: int


class Seconds:
    """Values of one line by second: sums of counters, last of gauges, count-weighted p50 and
    largest p99 of summaries.
    """

    def __init__(self, kind: str, history_s: int) -> None:
        self._kind, self._history_s = kind, history_s
        self._bins: dict[int, list[tuple[float, float, float]]] = {}

    def add(
        self,
        second: int,
        value: float,
        p50: float = 0.0,
        p99: float = 0.0,
    ) -> None:
        of_second = self._bins.setdefault(second, [])
        if len(of_second) < MOST_OF_A_SECOND:
            of_second.append((value, p50, p99))
        while len(self._bins) > self._history_s + SMOOTH_S + SETTLE_S:
            del self._bins[min(self._bins)]

    def at(self, second: int) -> dict[str, float]:
        """What to draw for a second: {"": value} or {"p50", "p99"};
        empty when nothing came lately.
        """
        found = self._lately(second)
        if not found:
            return {}
        if self._kind == "gauge":
            return {"": found[-1][0]}
        total = sum(value for value, _, _ in found)
        if self._kind == "counter":
            return {"": total / SMOOTH_S}
        weighted = sum(value * p50 for value, p50, _ in found)
        highest = max(p99 for _, _, p99 in found)
        return {"p50": weighted / (total or 1.0), "p99": highest}

    def _lately(self, second: int) -> list[tuple[float, float, float]]:
        found: list[tuple[float, float, float]] = []
        for each in range(second - SMOOTH_S + 1, second + 1):
            found += self._bins.get(each, ())
        return found


class Telemetry:
    """Takes metrics, and events counted by the second, and gives the charts' lines."""

    def __init__(self, history_s: int) -> None:
        self._history_s = history_s
        self._lines: dict[str, Seconds] = {}
        self._admission = Admission()
        self.latest: dict[Series, Latest] = {}
        self.dropped = 0
        self.now_us = LAST_US
        """The time as this service was last told."""
        self._drawn: deque[tuple[int, dict[str, float]]] = deque(maxlen=history_s)

    def take(self, metric: MetricObserved) -> None:
        """One metric of one process over its last flush interval; one that is odd, or one too many,
        is counted only.
        """
        if odd(metric) or not self._room(metric):
            self.dropped += 1
            return
        self._remember(metric)
        for chart in CHARTS:
            if chart.kind == metric.kind and chart.pattern.fullmatch(metric.name):
                self._draw(chart, metric)

    def count(
        self,
        line: str,
        at_us: int,
        n: float = 1,
    ) -> None:
        """Count events that this service reads itself."""
        self._add(line, "counter", at_us, n)

    def total(self, chart_id: str, by: str = "source") -> dict[str, float]:
        """Sum of a chart's counters since this monitor started to read, by label."""
        pattern = next(chart.pattern for chart in CHARTS if chart.id == chart_id)
        return self.totals(lambda latest: pattern.fullmatch(latest.name) is not None, by)

    def totals(self, wanted: Callable[[Latest], bool], by: str) -> dict[str, float]:
        """Sum of the counters for which `wanted(latest)` is true, by label."""
        found: dict[str, float] = {}
        for latest in self.latest.values():
            if latest.kind == "counter" and wanted(latest):
                key = latest.labels.get(by, "")
                found[key] = found.get(key, 0) + latest.total
        return found

    def tick(self, now_us: int) -> dict[str, float]:
        """Draw the newest settled second; returns its values by line, rounded."""
        return self._drawn_at(now_us // SECOND_US - SETTLE_S)

    def redraw(self, now_us: int) -> None:
        """Draw all seconds again, after the past was read."""
        self._drawn.clear()
        newest = now_us // SECOND_US - SETTLE_S
        for second in range(newest - self._history_s + 1, newest + 1):
            values = self._drawn_at(second)
            if not values and len(self._drawn) == 1:
                self._drawn.clear()

    def history(self) -> dict[str, list[float | None]]:
        """Every drawn second: "t" in seconds since 1970, and one list per line with None where
        nothing came.
        """
        ids = sorted({line for _, values in self._drawn for line in values})
        columns: dict[str, list[float | None]] = {"t": [float(second) for second, _ in self._drawn]}
        for line in ids:
            columns[line] = [values.get(line) for _, values in self._drawn]
        return columns

    def _drawn_at(self, second: int) -> dict[str, float]:
        values = {
            f"{name}.{part}" if part else name: round(value, 3)
            for name, line in self._lines.items()
            for part, value in line.at(second).items()
        }
        if not self._drawn or self._drawn[-1][0] < second:
            self._drawn.append((second, values))
        return values

    def _draw(self, chart: Chart, metric: MetricObserved) -> None:
        by = _split(chart, metric)
        scale = TO_MS.get(metric.unit, 1.0) if chart.kind == "summary" else 1.0
        quantiles = (metric.quantiles.get(name, 0.0) * scale for name in ("p50", "p99"))
        line = f"{chart.id}:{by}" if by else chart.id
        self._add(line, chart.kind, metric.observed_at_us, metric.value, *quantiles)

    def _add(self, name: str, kind: str, at_us: int, *values: float) -> None:
        """Put a value on a line, while there is room for the line and its time is one of ours."""
        if at_us > self.now_us + AHEAD_US:
            return
        if name not in self._lines and len(self._lines) < MOST_LINES:
            self._lines[name] = Seconds(kind, self._history_s)
        if name in self._lines:
            self._lines[name].add(at_us // SECOND_US, *values)

    def _room(self, metric: MetricObserved) -> bool:
        """Whether a metric is taken; when its service has no room, for the series that was quiet
        longest.
        """
        series = series_of(metric)
        if series not in self.latest and (stale := self._admission.leaving(metric.service)):
            del self.latest[stale]
        return self._admission.admit(series)

    def _remember(self, metric: MetricObserved) -> None:
        series = series_of(metric)
        before = self.latest.get(series)
        self.latest[series] = Latest(
            name=metric.name,
            service=metric.service,
            labels=metric.labels,
            kind=metric.kind,
            unit=metric.unit,
            value=metric.value,
            total=_finite(metric.value + (before.total if before else 0.0)),
            quantiles=metric.quantiles,
            at_us=metric.observed_at_us,
        )


def _finite(total: float) -> float:
    """A sum of finite numbers that may have passed the largest one."""
    return max(-LARGEST, min(LARGEST, total))


def _split(chart: Chart, metric: MetricObserved) -> str:
    """Which line of a chart a metric is of."""
    if chart.by == "service":
        return metric.service
    if not chart.by:
        return ""
    return metric.labels.get(chart.by, "")
