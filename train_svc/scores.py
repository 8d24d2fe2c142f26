"""How good predictions are: AUC, log loss, Brier and accuracy of probabilities, RMSE and MAE of
numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.floating[Any]]
SMALLEST = 1e-7


def binary(label: Values, probability: Values) -> dict[str, float]:
    """Scores of probabilities against labels 0 or 1; `auc` is missing when there is one class
    only.
    """
    p = np.clip(np.asarray(probability, dtype=np.float64), SMALLEST, 1 - SMALLEST)
    y = np.asarray(label, dtype=np.float64)
    scores = {
        "log_loss": float(-np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))),
        "brier": float(np.mean((p - y) ** 2)),
        "accuracy": float(np.mean((p >= 0.5) == (y >= 0.5))),
        "base_rate": float(np.mean(y)),
        "rows": float(len(y)),
    }
    return scores if y.min() == y.max() else {"auc": auc(y, p), **scores}


def auc(label: Values, score: Values) -> float:
    """Probability that a positive row has a higher score than a negative one, ties counting half
    (Mann-Whitney).
    """
    positive = np.asarray(label) >= 0.5
    _, place, counts = np.unique(np.asarray(score), return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    n = int(positive.sum())
    return float((ranks[positive].sum() - n * (n + 1) / 2) / (n * (len(positive) - n)))


def numeric(label: Values, value: Values) -> dict[str, float]:
    """Scores of numbers against numbers."""
    error = np.asarray(value, dtype=np.float64) - np.asarray(label, dtype=np.float64)
    return {
        "rmse": float(np.sqrt(np.mean(error**2))),
        "mae": float(np.mean(np.abs(error))),
        "rows": float(len(error)),
    }
