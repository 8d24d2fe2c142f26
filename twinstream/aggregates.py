"""The aggregates that a definition may use. Written by `python -m twinstream.algebra.generate`."""

from __future__ import annotations

from twinstream.algebra.aggregates.count import count
from twinstream.algebra.aggregates.count_by import count_by
from twinstream.algebra.aggregates.distinct import distinct
from twinstream.algebra.aggregates.first import first
from twinstream.algebra.aggregates.last import last
from twinstream.algebra.aggregates.last_k import last_k
from twinstream.algebra.aggregates.maximum import maximum
from twinstream.algebra.aggregates.mean import mean
from twinstream.algebra.aggregates.minimum import minimum
from twinstream.algebra.aggregates.quantile import quantile
from twinstream.algebra.aggregates.share import share
from twinstream.algebra.aggregates.std import std
from twinstream.algebra.aggregates.sum import sum_
from twinstream.algebra.aggregates.time_since_last import time_since_last
from twinstream.algebra.aggregates.variance import variance

__all__ = [
    "count",
    "count_by",
    "distinct",
    "first",
    "last",
    "last_k",
    "maximum",
    "mean",
    "minimum",
    "quantile",
    "share",
    "std",
    "sum_",
    "time_since_last",
    "variance",
]
