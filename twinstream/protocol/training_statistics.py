"""What is published beside a training set, as `statistics.json`: the batch layer writes it.
Pure.
"""

from __future__ import annotations

import msgspec

from twinstream.protocol.training_split import Split

FILE_NAME = "statistics.json"


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """Of the training rows' values of one input; all zero without a value, which `count` tells.

    `std` is the population's. `clipped` values lay beyond what sums can hold, and count as that.
    """

    count: int = 0
    nulls: int = 0
    mean: float | None = 0.0
    std: float | None = 0.0
    min: float | None = 0.0
    max: float | None = 0.0
    clipped: int = 0


class LabelSummary(msgspec.Struct, frozen=True, kw_only=True):
    """Of the training rows' labels."""

    count: int
    mean: float


class TrainingStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """Of the training rows alone: by input its numbers, or each text that it takes."""

    numeric: dict[str, Summary]
    categories: dict[str, list[str]]
    sequences: dict[str, Summary]
    label: LabelSummary | None = None
    split: Split | None = None


def encode(statistics: TrainingStatistics) -> bytes:
    """The document; equal statistics give equal bytes."""
    return msgspec.json.encode(statistics, order="sorted")


def decode(data: bytes) -> TrainingStatistics:
    """Raises msgspec.MsgspecError, RecursionError or UnicodeDecodeError for anything else."""
    return msgspec.json.decode(data, type=TrainingStatistics)
