"""How good predictions are, over the latest labelled ones and over all, with a release's own
numbers: AUC and log loss of probabilities, RMSE and MAE of numbers.
"""

from __future__ import annotations

import math
from collections import deque

import msgspec
import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from monitor_svc.label_rows import Asked, Outcome

BINS = 2048
MAX_RELEASES = 50
MAX_POINTS = 600
_SMALLEST = 1e-7
Floats = npt.NDArray[np.float64]
Scores = dict[str, float | None]


def auc(scores: Floats, labels: Floats) -> float | None:
    """Area under the ROC curve (ties count half); None unless both outcomes are there."""
    positive = labels > 0.5
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if not n_positive or not n_negative:
        return None
    ranks = rankdata(scores)[positive].sum()
    return float((ranks - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative))


def auc_error(
    area: float,
    n_positive: int,
    n_negative: int,
) -> float:
    """Standard error of an AUC (Hanley and McNeil, 1982)."""
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    variance = (
        area * (1 - area) + (n_positive - 1) * (q1 - area**2) + (n_negative - 1) * (q2 - area**2)
    )
    return math.sqrt(max(variance, 0.0) / (n_positive * n_negative))


def log_losses(scores: Floats, labels: Floats) -> Floats:
    """Log loss of each prediction, its score clipped to [1e-7, 1 - 1e-7]."""
    clipped = np.clip(scores, _SMALLEST, 1 - _SMALLEST)
    return np.asarray(-np.where(labels > 0.5, np.log(clipped), np.log1p(-clipped)))


def log_loss(score: float, label: float) -> float:
    """Log loss of one prediction."""
    clipped = min(max(score, _SMALLEST), 1 - _SMALLEST)
    return -math.log(clipped if label > 0.5 else 1 - clipped)


class Cumulative:
    """AUC and log loss of any number of predictions in fixed memory:
    scores are counted in 2,048 equal bins.

    The AUC's error is at most half the share of (late, not late) pairs that fall into one bin.
    """

    def __init__(self) -> None:
        self._counts = np.zeros((2, BINS), np.int64)
        self._loss = 0.0

    @property
    def n(self) -> int:
        return int(self._counts.sum())

    @property
    def positives(self) -> int:
        return int(self._counts[1].sum())

    def add(
        self,
        score: float,
        label: float,
        n: int = 1,
    ) -> None:
        """Count a labelled prediction; n = -1 takes it back."""
        place = int(min(max(score, 0.0), 1.0) * BINS)
        self._counts[int(label > 0.5), min(place, BINS - 1)] += n
        self._loss += n * log_loss(score, label)

    def auc(self) -> float | None:
        negative, positive = self._counts
        pairs = int(negative.sum()) * int(positive.sum())
        if not pairs:
            return None
        below = np.cumsum(negative) - negative
        return float((positive * (below + negative / 2)).sum() / pairs)

    def log_loss(self) -> float | None:
        return self._loss / self.n if self.n else None

    def scores(self) -> Scores:
        """By name; None until labels say it."""
        return {"auc": self.auc(), "log_loss": self.log_loss()}


class Errors:
    """RMSE and MAE of any number of predictions of numbers, in the label's own unit."""

    positives = 0
    """A number is neither true nor false."""

    def __init__(self) -> None:
        self.n = 0
        self._squares = 0.0
        self._sizes = 0.0

    def add(
        self,
        score: float,
        label: float,
        n: int = 1,
    ) -> None:
        """Count a labelled prediction; n = -1 takes it back."""
        error = score - label
        self.n += n
        self._squares += n * error * error
        self._sizes += n * abs(error)

    def scores(self) -> Scores:
        """By name; None until labels say it."""
        if not self.n:
            return {"rmse": None, "mae": None}
        return {
            "rmse": _known(math.sqrt(max(self._squares, 0.0) / self.n)),
            "mae": _known(max(self._sizes, 0.0) / self.n),
        }


def measure_of(
    *,
    binary: bool,
) -> Measure:
    """What measures predictions of a kind."""
    return Cumulative() if binary else Errors()


def measured_scores(
    scores: Floats,
    labels: Floats,
    *,
    binary: bool,
) -> Scores:
    """The same of some labelled predictions, exactly."""
    if binary:
        loss = float(log_losses(scores, labels).mean()) if len(scores) else None
        return {"auc": auc(scores, labels), "log_loss": loss}
    errors = scores - labels
    if not len(errors):
        return Errors().scores()
    rmse = math.sqrt(float(np.square(errors).mean()))
    return {"rmse": _known(rmse), "mae": _known(float(np.abs(errors).mean()))}


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


Measure = Cumulative | Errors


class Point(msgspec.Struct, frozen=True):
    """Quality at one moment of known time: AUC and log loss of probabilities, the others of
    numbers.
    """

    known_us: int
    labelled: int
    auc_rolling: float | None = None
    auc_all: float | None = None
    log_loss_rolling: float | None = None
    log_loss_all: float | None = None
    rmse_rolling: float | None = None
    rmse_all: float | None = None
    mae_rolling: float | None = None
    mae_all: float | None = None


class Quality:
    """Quality of one model: rolling, since the start, and by release (the latest 50)."""

    def __init__(self, rolling: int, step: int, *, binary: bool = True) -> None:
        self._rolling: deque[Asked] = deque(maxlen=rolling)
        self._step = step
        self._binary = binary
        self.all = measure_of(binary=binary)
        self.releases: dict[str, Measure] = {}
        self.models: dict[str, Measure] = {}
        """By the digest of the model, as `releases` the latest 50."""
        self.points: list[Point] = []
        self.counts = {"arrived": 0, "missing": 0, "revised": 0}

    def take(self, outcome: Outcome, known_us: int) -> None:
        """Count a label that arrived, was missing, or was revised."""
        asked = outcome.asked
        self.counts[outcome.how] += 1
        _count(self._of(self.releases, asked.release), outcome)
        _count(self._of(self.models, asked.model_digest), outcome)
        if not asked.canary:
            _count(self.all, outcome)
            self._roll(outcome, known_us)

    def _roll(self, outcome: Outcome, known_us: int) -> None:
        asked = outcome.asked
        if outcome.label is None:
            self._leave_out(asked)
        elif outcome.before is None:
            self._rolling.append(asked)
            if self.all.n % self._step == 0:
                self._add_point(known_us)

    def _leave_out(self, asked: Asked) -> None:
        if asked in self._rolling:
            self._rolling.remove(asked)

    def rolling(self, model_digest: str | None = None) -> tuple[Floats, Floats]:
        """Scores and labels of the latest labelled predictions, of one model's only if named."""
        rows = [
            (a.score, a.label)
            for a in self._rolling
            if model_digest in {None, a.model_digest} and a.label is not None
        ]
        scores, labels = zip(*rows, strict=True) if rows else ((), ())
        return np.asarray(scores, float), np.asarray(labels, float)

    def latest(self) -> Scores:
        """Of the latest labelled predictions."""
        return measured_scores(*self.rolling(), binary=self._binary)

    def point(self, known_us: int) -> Point:
        """Quality as of now."""
        rolling = {f"{name}_rolling": value for name, value in self.latest().items()}
        whole = {f"{name}_all": value for name, value in self.all.scores().items()}
        return Point(known_us, self.all.n, **rolling, **whole)

    def calibration(self, bins: int = 10) -> list[dict[str, float]]:
        """Mean score and observed share by tenths of the rolling window's scores; of numbers,
        nothing.
        """
        scores, labels = self.rolling()
        if not self._binary or len(scores) < bins:
            return []
        parts = np.array_split(np.argsort(scores, kind="stable"), bins)
        return [
            {"score": float(scores[p].mean()), "observed": float(labels[p].mean()), "n": len(p)}
            for p in parts
        ]

    def _of(self, known: dict[str, Measure], name: str) -> Measure:
        if name not in known and len(known) >= MAX_RELEASES:
            del known[next(iter(known))]
        return known.setdefault(name, measure_of(binary=self._binary))

    def _add_point(self, known_us: int) -> None:
        self.points.append(self.point(known_us))
        if len(self.points) > MAX_POINTS:
            del self.points[1:-1:2]


def _count(measure: Measure, outcome: Outcome) -> None:
    score = outcome.asked.score
    if outcome.before is not None:
        measure.add(score, outcome.before, -1)
    if outcome.label is not None:
        measure.add(score, outcome.label)
