"""Whether one model is better than another: their losses on the same rows, resampled in pairs."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
LOW = 0.025
"""One end of a 95 % interval."""
NORMAL = 1.96
"""The same end of the standard normal distribution."""
MANY = 1000
"""From so many rows on the mean is as good as normal (central limit theorem)."""
PROMOTED = "the promoted model"
ONE_ANSWER = "one answer for all rows (the promoted model cannot be compared)"
Losses = NDArray[np.float64]


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """Two models on the same rows."""

    rows: int
    ours: float
    """Mean loss of the new model."""
    theirs: float
    """Mean loss of the other."""
    gain: float
    """By so much the new one is better at least: the lower end of the 95 % interval."""
    other: str = PROMOTED
    """What it is compared with, in words."""


def paired(
    ours: Losses,
    theirs: Losses,
    other: str = PROMOTED,
) -> Evidence:
    """float64[n] both: the loss of each row. The interval is the paired bootstrap's percentile
    interval (Efron and Tibshirani, 1993), the same for the same losses.
    """
    gains = theirs - ours
    return Evidence(
        rows=len(gains),
        ours=float(ours.mean()),
        theirs=float(theirs.mean()),
        gain=_lower_end(gains),
        other=other,
    )


def _lower_end(gains: Losses) -> float:
    n = len(gains)
    if n >= MANY:
        spread = gains.std(ddof=1) / np.sqrt(n)
        return float(gains.mean() - NORMAL * spread)
    dice = np.random.default_rng(n)
    chosen = dice.integers(0, n, (RESAMPLES, n))
    means = gains[chosen].mean(axis=1)
    return float(np.quantile(means, LOW))
