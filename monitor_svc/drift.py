"""Tests for drift: ADWIN on the score and its log loss, Kolmogorov-Smirnov on every numeric feature
against the model's first predictions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from river.drift import ADWIN
from scipy.stats import ks_2samp

from monitor_svc.settings import MonitorSettings

MAX_P = 1e-4
MOST_SERIES = 1000
LOG_LOSS, ABSOLUTE_ERROR = "log_loss", "absolute_error"
LARGEST = 1e100
"""Numbers beyond it count as so large: the square of a larger one is not finite."""
LEAST_VALUES = 100


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One test of one series; `shift` is the mean's change in standard deviations of what it is
    compared with.
    """

    series: str
    detector: str
    statistic: float
    threshold: float
    drifted: bool
    shift: float | None = None
    nulls: float = 0.0
    nulls_before: float = 0.0


class StreamDrift:
    """ADWIN over one stream of numbers; says once per check whether its mean changed since the
    check before.
    """

    def __init__(self, series: str, delta: float) -> None:
        self._series, self._delta = series, delta
        self._adwin = ADWIN(delta=delta)
        self._found = 0.0
        self._since_check = 0

    def update(self, value: float) -> None:
        before = self._adwin.estimation
        self._adwin.update(value)
        self._since_check += 1
        if self._adwin.drift_detected:
            self._found = max(self._found, abs(self._adwin.estimation - before))

    def check(self) -> Finding | None:
        """What was found since the last check; `statistic` is the change of the mean.
        None when nothing came.
        """
        if not self._since_check:
            return None
        found, self._found, self._since_check = self._found, 0.0, 0
        return Finding(
            series=self._series,
            detector="adwin",
            statistic=found,
            threshold=self._delta,
            drifted=found > 0,
        )


class FeatureDrift:
    """KS test of the latest `window` predictions against the model's first `reference` ones,
    for every numeric series.
    """

    def __init__(
        self,
        reference: int,
        window: int,
        threshold: float,
    ) -> None:
        self._sizes, self._threshold = (reference, window), threshold
        self._names: dict[str, int] = {}
        self._reference = np.zeros((reference, 0))
        self._window = np.zeros((window, 0))
        self.seen = 0

    def update(self, values: Mapping[str, Any]) -> None:
        """Take one prediction's inputs; those that are no single number are left out,
        null becomes NaN.
        """
        row = self._row(values)
        if self.seen < self._sizes[0]:
            self._reference[self.seen] = row
        else:
            self._window[(self.seen - self._sizes[0]) % self._sizes[1]] = row
        self.seen += 1

    def _row(self, values: Mapping[str, Any]) -> npt.NDArray[np.float64]:
        """A number for each series, in their order."""
        numbers = self._numbers(values)
        self._grow([name for name in numbers if name not in self._names])
        row = np.full(len(self._names), np.nan)
        for name, number in numbers.items():
            row[self._names[name]] = number
        return row

    def _numbers(self, values: Mapping[str, Any]) -> dict[str, float]:
        """Of the series that are known, and of others while there is room."""
        return {
            name: number
            for name, value in values.items()
            if name in self._names or len(self._names) < MOST_SERIES
            if (number := _number(value)) is not None
        }

    def ready(self) -> bool:
        """Both samples are full."""
        return self.seen >= sum(self._sizes)

    def check(self) -> list[Finding]:
        """One finding per series, the most drifted first; empty until `ready`."""
        if not self.ready():
            return []
        found = [
            self._test(name, self._reference[:, i], self._window[:, i])
            for name, i in self._names.items()
        ]
        return sorted((f for f in found if f is not None), key=lambda f: -f.statistic)

    def _test(
        self,
        name: str,
        reference: npt.NDArray[np.float64],
        window: npt.NDArray[np.float64],
    ) -> Finding | None:
        before, now = reference[~np.isnan(reference)], window[~np.isnan(window)]
        if min(len(before), len(now)) < LEAST_VALUES:
            return None
        result = ks_2samp(before, now, method="asymp")
        return Finding(
            series=name,
            detector="ks",
            statistic=float(result.statistic),
            threshold=self._threshold,
            drifted=bool(result.statistic >= self._threshold and result.pvalue < MAX_P),
            shift=_shift(before, now),
            nulls=1 - len(now) / len(window),
            nulls_before=1 - len(before) / len(reference),
        )

    def _grow(self, names: list[str]) -> None:
        """Room for series that were not there before; their past is NaN."""
        if not names:
            return
        for name in names:
            self._names[name] = len(self._names)
        self._reference = _widened(self._reference, len(self._names))
        self._window = _widened(self._window, len(self._names))


def _widened(rows: npt.NDArray[np.float64], width: int) -> npt.NDArray[np.float64]:
    """With columns of NaN behind."""
    more = np.full((len(rows), width - rows.shape[1]), np.nan)
    return np.hstack([rows, more])


def _shift(before: npt.NDArray[np.float64], now: npt.NDArray[np.float64]) -> float | None:
    """Of the mean, in deviations of before; None where all was the same."""
    spread = float(before.std())
    return float((now.mean() - before.mean()) / spread) if spread > 0 else None


def _number(value: Any) -> float | None:
    """A single number as a float, null as NaN, anything else None."""
    if value is None:
        return float("nan")
    return bounded(value) if isinstance(value, (bool, int, float)) else None


def bounded(value: float) -> float:
    """A number that can be squared and summed, whatever an event holds."""
    return float(max(-LARGEST, min(LARGEST, value)))


class Persistence:
    """Counts, per series, the checks in a row that found drift."""

    def __init__(self, checks: int) -> None:
        self._needed = checks
        self.runs: dict[tuple[str, str], int] = {}

    def take(self, findings: list[Finding]) -> None:
        for finding in findings:
            key = (finding.series, finding.detector)
            self.runs[key] = self.runs.get(key, 0) + 1 if finding.drifted else 0

    def lasting(self) -> list[str]:
        """Series that are in drift for long enough."""
        return sorted({series for (series, _), run in self.runs.items() if run >= self._needed})


class ModelDrift:
    """All tests of one model's predictions, since it began to answer; `loss` names that of its
    labelled ones.
    """

    def __init__(self, knobs: MonitorSettings, loss: str = LOG_LOSS) -> None:
        self._knobs = knobs
        self._features = FeatureDrift(knobs.reference, knobs.window, knobs.ks_threshold)
        self._score, self._loss = (
            StreamDrift("score", knobs.adwin_delta),
            StreamDrift(loss, knobs.adwin_delta),
        )
        self._persistence = Persistence(knobs.persist_checks)
        self.checks = 0
        self.first_scores: list[float] = []
        self.findings: list[Finding] = []
        self._drifted: list[Finding] = []

    @property
    def reference_share(self) -> float:
        """How much of what the KS tests need was seen, 1 when they run."""
        return min(1.0, self._features.seen / (self._knobs.reference + self._knobs.window))

    def predicted(self, score: float, inputs: Mapping[str, Any]) -> None:
        """Take one prediction; every `drift_step` of them the tests are run."""
        if len(self.first_scores) < self._knobs.window:
            self.first_scores.append(score)
        self._score.update(score)
        self._features.update({**inputs, "score": score})
        if self._features.seen % self._knobs.drift_step == 0:
            self._check()

    def labelled(self, loss: float) -> None:
        """Take the log loss of one prediction whose label came."""
        self._loss.update(loss)

    def lasting(self) -> list[str]:
        """Series that drifted in enough checks in a row."""
        return self._persistence.lasting()

    def take_drifted(self) -> list[Finding]:
        """What the last check found, once."""
        found, self._drifted = self._drifted, []
        return found

    def _check(self) -> None:
        self.checks += 1
        streams = [
            finding for finding in (self._score.check(), self._loss.check()) if finding is not None
        ]
        self.findings = [*streams, *self._features.check()]
        self._persistence.take(self.findings)
        self._drifted = [finding for finding in self.findings if finding.drifted]
