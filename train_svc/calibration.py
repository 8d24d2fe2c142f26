"""How sure a network is, as it should be: one temperature for all of its logits."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from torch import nn

from train_svc.evaluation import finite_outputs, unit_of
from train_svc.rows import Split
from twinstream.nn.files import BINARY
from twinstream.nn.target import Target

HOTTEST = 20.0
"""Logits are divided by so much at most, and multiplied."""
HALVINGS = 50
SURE = 1.92
"""Half the 95 % quantile of a chi-squared distribution with one degree of freedom."""
Values = NDArray[np.float64]


def calibrated_unit(
    network: nn.Module,
    split: Split,
    loss: str,
) -> Target:
    """The unit in which a trained network answers: of logits by the temperature that fits the
    validation rows best. Raises TrainingImpossibleError for what is not finite.
    """
    unit = unit_of(split.train, loss)
    if loss != BINARY:
        return unit
    logits = finite_outputs(network, split.validation).numpy()
    return Target(scale=1 / temperature(logits, split.validation.label.numpy()))


def temperature(
    logits: Values,
    label: Values,
) -> float:
    """What logits are divided by so that their log loss is least (Guo et al., 2017); 1 unless the
    rows are 95 % sure of another (likelihood ratio), for a wrong one costs more than none.
    """
    likely = smoothed(label)
    best = _best(logits, likely)
    gain = likelihood(logits / best, likely) - likelihood(logits, likely)
    return best if gain > SURE else 1.0


def _best(
    logits: Values,
    likely: Values,
) -> float:
    """By halving: the loss is convex in 1 / temperature, and its slope says on which side it is."""
    low = -math.log(HOTTEST)
    high = -low
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        given = (1 + np.tanh(logits * math.exp(-middle) / 2)) / 2
        too_sure = float(((given - likely) * logits).sum()) > 0
        if too_sure:
            low = middle
        else:
            high = middle
    return math.exp((low + high) / 2)


def likelihood(
    logits: Values,
    likely: Values,
) -> float:
    """Log likelihood of all rows: -log(1 + exp(-x)) where the label is 1, less x where it is 0."""
    return float((likely * logits - np.logaddexp(0.0, logits)).sum())


def smoothed(label: Values) -> Values:
    """Of n labels 1 each becomes (n + 1) / (n + 2), of n labels 0 each 1 / (n + 2) (Platt, 1999):
    rows that are split apart make nobody sure for ever.
    """
    positive, negative = label.sum(), (1 - label).sum()
    found: Values = (positive + 1) / (positive + 2) * label
    return found + (1 - label) / (negative + 2)
