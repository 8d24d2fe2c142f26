"""What the normalisation of a model needs, fitted on the training part of a set:
exact counts, means and deviations in a fixed order of sums.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import reduce

import msgspec
import numpy as np
import pyarrow as pa

from twinstream.protocol.training_split import Split
from twinstream.protocol.training_statistics import LabelSummary, Summary, TrainingStatistics

BOUND = 2.0**450
"""No sum of so many squares as a set has rows overflows below it.

A value beyond counts as the bound, and is counted.
"""


class Moments(msgspec.Struct, frozen=True):
    """Count, mean and sum of squared differences from it, of the values that are not null;
    extremes and nulls.

    `clipped` of the values lay beyond BOUND, and stand in all of these as it.
    """

    count: int = 0
    nulls: int = 0
    mean: float = 0.0
    squares: float = 0.0
    low: float = math.inf
    high: float = -math.inf
    clipped: int = 0

    @classmethod
    def of(cls, values: np.ndarray) -> Moments:
        """float64, NaN for null; the sums are correctly rounded, so their order has no meaning."""
        given = values[~np.isnan(values)]
        nulls = len(values) - len(given)
        good = np.clip(given, -BOUND, BOUND)
        if not len(good):
            return cls(nulls=nulls)
        mean = math.fsum(good.tolist()) / len(good)
        squares = math.fsum(((good - mean) ** 2).tolist())
        return cls(
            count=len(good),
            nulls=nulls,
            mean=mean,
            squares=squares,
            low=float(good.min()),
            high=float(good.max()),
            clipped=int((good != given).sum()),
        )

    def merged(self, other: Moments) -> Moments:
        """Of both (Chan, Golub, LeVeque 1979)."""
        count = self.count + other.count
        if not self.count or not other.count:
            full = self if self.count else other
            return msgspec.structs.replace(full, nulls=self.nulls + other.nulls)
        delta = other.mean - self.mean
        return Moments(
            count=count,
            nulls=self.nulls + other.nulls,
            mean=self.mean + delta * other.count / count,
            squares=self.squares + other.squares + delta * delta * self.count * other.count / count,
            low=min(self.low, other.low),
            high=max(self.high, other.high),
            clipped=self.clipped + other.clipped,
        )

    def summary(self) -> Summary:
        """As it is published."""
        deviation = math.sqrt(self.squares / self.count) if self.count else 0.0
        low, high = (self.low, self.high) if self.count else (0.0, 0.0)
        return Summary(
            count=self.count,
            nulls=self.nulls,
            mean=self.mean,
            std=deviation,
            min=low,
            max=high,
            clipped=self.clipped,
        )


class Tally(msgspec.Struct, frozen=True):
    """Statistics of one part of the training rows."""

    numeric: dict[str, Moments]
    categories: dict[str, list[str]]
    sequences: dict[str, Moments]
    label: Moments

    def statistics(self, split: Split) -> TrainingStatistics:
        """What is published beside the set."""
        return TrainingStatistics(
            numeric={name: moments.summary() for name, moments in self.numeric.items()},
            categories=self.categories,
            sequences={name: moments.summary() for name, moments in self.sequences.items()},
            label=LabelSummary(count=self.label.count, mean=self.label.mean),
            split=split,
        )


def tally(
    numeric: dict[str, np.ndarray],
    categorical: dict[str, pa.Array],
    sequences: dict[str, np.ndarray],
    label: np.ndarray,
) -> Tally:
    """Of some rows: float64 columns with NaN for null, string columns, float64 [rows, k]."""
    return Tally(
        numeric={name: Moments.of(values) for name, values in numeric.items()},
        categories={name: _categories(values) for name, values in categorical.items()},
        sequences={name: Moments.of(values.reshape(-1)) for name, values in sequences.items()},
        label=Moments.of(label),
    )


def _categories(values: pa.Array) -> list[str]:
    return sorted(values.drop_null().unique().to_pylist())


def merge_tallies(tallies: Iterable[Tally]) -> Tally:
    """Of all parts, in their order."""
    return reduce(_both, tallies)


def _both(a: Tally, b: Tally) -> Tally:
    categories = {name: {*a.categories[name], *b.categories[name]} for name in a.categories}
    return Tally(
        numeric=_merged(a.numeric, b.numeric),
        categories={name: sorted(values) for name, values in categories.items()},
        sequences=_merged(a.sequences, b.sequences),
        label=a.label.merged(b.label),
    )


def _merged(a: dict[str, Moments], b: dict[str, Moments]) -> dict[str, Moments]:
    return {name: a[name].merged(b[name]) for name in a}
