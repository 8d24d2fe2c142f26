"""How sure a metric is: the bootstrap's 95 % percentile interval over the test rows (Efron and
Tibshirani, 1993), all resamples of a part at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from train_svc.scores import BINS, bins_of, row_losses, uncertain
from twinstream.nn.files import BINARY
from twinstream.protocol.model_metrics import HIGH, LOW

RESAMPLES, FEWEST_RESAMPLES = 1000, 200
MOST_DRAWS = 20_000_000
"""Rows times resamples: of many rows fewer resamples are made."""
MOST_ROWS = 100_000
"""Of more rows a random part is resampled, and its interval narrowed by the root of its share."""
DRAWS_AT_ONCE = 1_000_000
SIDES = (0.025, 0.975)
Floats = NDArray[np.float64]
Resampled = Callable[[Floats], Floats]
"""How often each row is there, float64[resamples, n] -> the metric of each resample."""


def interval_metrics(
    label: Floats,
    given: Mapping[str, Floats],
    found: Mapping[str, float],
    loss: str,
    seed: int,
) -> dict[str, float]:
    """Both ends of the interval of each metric in `found`, by its name and `_low` or `_high`.
    `given`: float64[n] for the same rows, by the prefix of their metrics.
    """
    dice = np.random.default_rng(seed)
    rows = _some(len(label), dice)
    measures = _measures(label[rows], {p: one[rows] for p, one in given.items()}, found, loss)
    seen = _seen(measures, len(rows), dice)
    once = np.ones((1, len(rows)))
    narrower = math.sqrt(len(rows) / len(label))
    ends: dict[str, float] = {}
    for name, values in seen.items():
        apart = narrower * _apart(values, measures[name](once)[0])
        ends |= {name + LOW: found[name] + apart[0], name + HIGH: found[name] + apart[1]}
    return {name: float(end) for name, end in ends.items()}


def _some(
    rows: int,
    dice: np.random.Generator,
) -> NDArray[np.int64]:
    """The numbers of the rows that are resampled."""
    if rows <= MOST_ROWS:
        return np.arange(rows)
    return np.sort(dice.choice(rows, MOST_ROWS, replace=False))


def _measures(
    label: Floats,
    given: Mapping[str, Floats],
    found: Mapping[str, float],
    loss: str,
) -> dict[str, Resampled]:
    """How each metric of `found` is computed of a resample."""
    return {
        prefix + name: measure
        for prefix, one in given.items()
        for name, measure in measures_of(label, one, loss).items()
        if prefix + name in found
    }


def _seen(
    measures: Mapping[str, Resampled],
    rows: int,
    dice: np.random.Generator,
) -> dict[str, Floats]:
    """float64[resamples] of each metric; all of them on the same resamples."""
    parts: dict[str, list[Floats]] = {name: [] for name in measures}
    for weights in _resamples(rows, dice):
        for name, measure in measures.items():
            parts[name].append(measure(weights))
    return {name: np.concatenate(found) for name, found in parts.items()}


def _resamples(
    rows: int,
    dice: np.random.Generator,
) -> Iterator[Floats]:
    """How often each row was drawn, float64[some, rows], until there are as many as bounds let."""
    left = min(RESAMPLES, max(FEWEST_RESAMPLES, MOST_DRAWS // rows))
    while left:
        some = min(left, max(1, DRAWS_AT_ONCE // rows))
        drawn = [np.bincount(dice.integers(0, rows, rows), minlength=rows) for _ in range(some)]
        yield np.array(drawn, np.float64)
        left -= some


def _apart(
    values: Floats,
    middle: float,
) -> Floats:
    """How far from what was measured both ends lie; resamples without a value, as an AUC of one
    class, do not count.
    """
    finite = values[np.isfinite(values)]
    found: Floats = np.quantile(finite, SIDES) - middle if len(finite) else np.zeros(2)
    return found


def measures_of(
    label: Floats,
    given: Floats,
    loss: str,
) -> dict[str, Resampled]:
    """Every metric of answers, as a function of how often each row is there."""
    if loss != BINARY:
        return measures_of_numbers(given - label)
    sure = uncertain(given)
    right = (sure >= 0.5) == (label >= 0.5)
    return {
        "auc": PairsInOrder(label, sure),
        "log_loss": mean_of(row_losses(label, given, loss)),
        "brier": mean_of((sure - label) ** 2),
        "accuracy": mean_of(right.astype(np.float64)),
        "ece": calibration_error_of(label, sure),
        "base_rate": mean_of(label),
    }


def measures_of_numbers(error: Floats) -> dict[str, Resampled]:
    """The same of errors."""
    return {"rmse": rooted(error**2), "mae": mean_of(np.abs(error))}


def mean_of(values: Floats) -> Resampled:
    """float64[n]: of each row."""
    return lambda weights: weights @ values / len(values)


def rooted(values: Floats) -> Resampled:
    """The root of their mean."""
    return lambda weights: np.sqrt(weights @ values / len(values))


def calibration_error_of(
    label: Floats,
    sure: Floats,
) -> Resampled:
    """Each row stays in the bin that it has among all."""
    apart = np.zeros((len(label), BINS))
    apart[np.arange(len(label)), bins_of(sure)] = sure - label
    return lambda weights: np.abs(weights @ apart).sum(axis=1) / len(label)


class PairsInOrder:
    """AUC of resamples: the share of pairs in order, ties counting half; NaN for one class."""

    def __init__(
        self,
        label: Floats,
        sure: Floats,
    ) -> None:
        order = np.argsort(sure, kind="stable")
        positive = label[order] >= 0.5
        self._ones, self._zeros = order[positive], order[~positive]
        ones, zeros = sure[self._ones], sure[self._zeros]
        self._below = np.searchsorted(zeros, ones, side="left")
        self._upto = np.searchsorted(zeros, ones, side="right")

    def __call__(
        self,
        weights: Floats,
    ) -> Floats:
        """float64[resamples, n] -> float64[resamples]."""
        beaten = np.zeros((len(weights), len(self._zeros) + 1))
        np.cumsum(weights[:, self._zeros], axis=1, out=beaten[:, 1:])
        each = weights[:, self._ones]
        won = (each * (beaten[:, self._below] + beaten[:, self._upto])).sum(axis=1) / 2
        pairs = each.sum(axis=1) * beaten[:, -1]
        return np.divide(won, pairs, out=np.full(len(won), np.nan), where=pairs > 0)
