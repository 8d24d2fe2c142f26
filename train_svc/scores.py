"""How good predictions are: AUC, log loss, Brier, accuracy and calibration error of probabilities,
RMSE and MAE of numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from twinstream.nn.files import BINARY

Values = NDArray[np.floating[Any]]
SMALLEST = 1e-7
BINS = 15
"""Of the calibration error; each holds as many rows."""


def binary(
    label: Values,
    probability: Values,
) -> dict[str, float]:
    """Scores of probabilities against labels 0 or 1; `auc` is missing when there is one class
    only.
    """
    p = uncertain(probability)
    y = np.asarray(label, dtype=np.float64)
    likelihood = y * np.log(p) + (1 - y) * np.log(1 - p)
    right = (p >= 0.5) == (y >= 0.5)
    scores = {} if y.min() == y.max() else {"auc": auc(y, p)}
    scores |= {
        "log_loss": float(-likelihood.mean()),
        "brier": float(np.mean((p - y) ** 2)),
        "accuracy": float(right.mean()),
        "ece": calibration_error(y, p),
        "base_rate": float(y.mean()),
        "rows": float(len(y)),
    }
    return scores


def uncertain(probability: Values) -> NDArray[np.float64]:
    """So that none is certain, and each has a finite loss."""
    return np.clip(np.asarray(probability, dtype=np.float64), SMALLEST, 1 - SMALLEST)


def auc(
    label: Values,
    score: Values,
) -> float:
    """Probability that a positive row has a higher score than a negative one, ties counting half
    (Mann-Whitney).
    """
    positive = np.asarray(label) >= 0.5
    _, place, counts = np.unique(
        np.asarray(score),
        return_inverse=True,
        return_counts=True,
    )
    middle_ranks = np.cumsum(counts) - (counts - 1) / 2
    rank_sum = middle_ranks[place][positive].sum()
    n = int(positive.sum())
    pairs = n * (len(positive) - n)
    return float((rank_sum - n * (n + 1) / 2) / pairs)


def calibration_error(
    label: Values,
    probability: Values,
) -> float:
    """Expected calibration error: of 15 bins of as many rows by their probability, the mean
    distance of what was said from what was (Nguyen and O'Connor, 2015).
    """
    counts = np.bincount(bins_of(probability), minlength=BINS)
    apart = np.asarray(probability, np.float64) - label
    sums = np.bincount(bins_of(probability), weights=apart, minlength=BINS)
    return float(np.abs(sums).sum() / counts.sum())


def bins_of(probability: Values) -> NDArray[np.int64]:
    """int64[n] from 0 to 14, by the middle rank of each: equal probabilities share a bin."""
    _, place, counts = np.unique(probability, return_inverse=True, return_counts=True)
    middle_ranks = np.cumsum(counts) - (counts + 1) / 2
    found: NDArray[np.int64] = (middle_ranks[place] * BINS // len(place)).astype(np.int64)
    return found


def row_losses(
    label: Values,
    answer: Values,
    loss: str,
) -> NDArray[np.float64]:
    """float64[n]: the loss of each row, by the name of the loss."""
    y = np.asarray(label, np.float64)
    given = np.asarray(answer, np.float64)
    if loss == BINARY:
        p = uncertain(given)
        return -(y * np.log(p) + (1 - y) * np.log(1 - p))
    error = given - y
    if loss == "mean_absolute_error":
        return np.abs(error)
    return error**2


def constant(
    label: Values,
    loss: str,
) -> float:
    """The one answer to all rows that has the least loss on these."""
    if loss == "mean_absolute_error":
        return float(np.median(label))
    return float(np.mean(label))


def numeric(
    label: Values,
    value: Values,
) -> dict[str, float]:
    """Scores of numbers against numbers."""
    y = np.asarray(label, dtype=np.float64)
    error = np.asarray(value, dtype=np.float64) - y
    squares = np.mean(error**2)
    return {
        "rmse": float(np.sqrt(squares)),
        "mae": float(np.abs(error).mean()),
        "rows": float(len(error)),
    }
