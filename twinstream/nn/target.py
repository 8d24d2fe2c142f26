"""In which unit a network answers. A number: how far from the middle of the training labels, in
their spread. A logit: divided by the temperature of its calibration.
"""

from __future__ import annotations

import math

import msgspec
import numpy as np
from numpy.typing import NDArray


class Target(msgspec.Struct, frozen=True):
    """A network's number x means `centre + scale * x`: in the label's own unit, or as a logit."""

    centre: float = 0.0
    scale: float = 1.0


def target_of(labels: NDArray[np.float64]) -> Target:
    """The mean and the standard deviation (the population's) of labels; labels that are all alike
    have no spread, and keep their unit.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        centre, scale = float(np.mean(labels)), float(np.std(labels))
    return Target(centre, scale if math.isfinite(scale) and scale > 0 else 1.0)
