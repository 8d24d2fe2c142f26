"""Inputs for models that read no sequences: of each sequence its newest value, the mean of its
values and how many there are. Categories as codes, numbers with NaN for null.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from train_svc.rows import Rows
from twinstream.features.inputs import Inputs

Matrix = NDArray[np.float64]


def plain_numbers(rows: Rows) -> Matrix:
    """float64[n, N + 3 S]: all numbers, then the three of each sequence."""
    numeric = rows.numeric.numpy()
    told = [summary_of(part) for part in rows.sequences.numpy().swapaxes(0, 1)]
    return np.concatenate([numeric, *told], axis=1)


def summary_of(steps: Matrix) -> Matrix:
    """float64[n, K] of one sequence, newest first -> float64[n, 3]; null where it has no value."""
    there = ~np.isnan(steps)
    count = there.sum(axis=1)
    total = np.where(there, steps, 0.0).sum(axis=1)
    mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return np.stack([steps[:, 0], mean, count.astype(np.float64)], axis=1)


def plain_statistics(
    inputs: Inputs,
    statistics: Mapping[str, Any],
) -> Sequence[Mapping[str, float | None]]:
    """Mean and spread of each of those numbers, of the training rows."""
    found = [statistics["numeric"].get(name, {}) for name in inputs.numeric]
    for name, length in inputs.sequences:
        values = statistics["sequences"].get(name, {})
        found += [values, values, {"mean": length / 2, "std": length / 2}]
    return found
