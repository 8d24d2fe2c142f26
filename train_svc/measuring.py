"""All that is measured of a trained network on the test rows, beside simpler models."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import nn

from train_svc.evaluation import answers, constant_answers, told_scores, validation_scores
from train_svc.intervals import interval_metrics
from train_svc.ports import Problem
from twinstream.nn.files import BINARY
from twinstream.nn.target import Target
from twinstream.protocol.model_metrics import CONSTANT, TEMPERATURE, UNCALIBRATED

Answers = NDArray[np.float64]


def every_metric(
    network: nn.Module,
    problem: Problem,
    unit: Target,
    others: dict[str, Answers],
) -> dict[str, float]:
    """Every metric and the ends of its interval; `others`: what baselines answer for the test rows,
    by their prefix. Raises TrainingImpossibleError for answers that are not finite.
    """
    split, loss, seed = problem.split, problem.config.loss, problem.config.seed
    label = split.test.label.numpy()
    given = answers_without_baselines(network, problem, unit) | others
    found = told_scores(label, given, loss)
    ends = interval_metrics(label, given, found, loss, seed)
    return found | ends | validation_scores(network, split, loss, unit) | _heat(unit, loss)


def _heat(
    unit: Target,
    loss: str,
) -> dict[str, float]:
    return {TEMPERATURE: 1 / unit.scale} if loss == BINARY else {}


def answers_without_baselines(
    network: nn.Module,
    problem: Problem,
    unit: Target,
) -> dict[str, Answers]:
    """Of the network, of it before its calibration, and of one answer for all."""
    split, loss = problem.split, problem.config.loss
    found = {"": answers(network, split.test, loss, unit)}
    if loss == BINARY:
        found |= {UNCALIBRATED: answers(network, split.test, loss, Target())}
    return found | {CONSTANT: constant_answers(split, loss)}
