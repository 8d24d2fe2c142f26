"""The linear model beside a network; its strength of penalty is chosen on the validation rows."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from train_svc.evaluation import in_unit, unit_of, wanted
from train_svc.linear import Design, Regression, fit_linear, linear_output
from train_svc.ports import FittedBaseline, Problem
from train_svc.rows import Rows
from train_svc.scores import row_losses

STRENGTHS = (1.0, 1e-1, 1e-2, 1e-3, 1e-4)
"""Tried from the strongest on, each from where the one before ended."""
MOST_WORK, MOST_VALUES = 10**11, 5 * 10**7
"""Rows times the square of the columns, and times the columns: of wide inputs fewer rows are taken.
"""


class LinearBaseline:
    """Logistic regression, least squares or least absolute errors, by the loss of the model."""

    def compare(
        self,
        problem: Problem,
    ) -> FittedBaseline:
        """Raises ValueError when no strength gives a finite validation loss."""
        given = problem.split
        design = Design(problem.inputs, problem.statistics, given.train)
        train = _fewer(given.train, most_rows(design.width))
        strength, weights = _chosen(problem, design, train)
        answers = _answers(problem, design, given.test, weights)
        facts = {"rows": float(len(train)), "strength": strength}
        return FittedBaseline(answers.numpy(), facts)


def _chosen(
    problem: Problem,
    design: Design,
    train: Rows,
) -> tuple[float, Tensor]:
    """The strength with the least validation loss, and its weights."""
    loss = problem.config.loss
    target = wanted(train, unit_of(problem.split.train, loss))
    best = (math.inf, 0.0, target)
    for strength, weights in _path(Regression.of(design, train, target, loss)):
        found = _validated(problem, design, weights)
        best = min(best, (found, strength, weights), key=lambda tried: tried[0])
    if math.isinf(best[0]):
        raise ValueError("no strength of the penalty gives a finite validation loss")
    return best[1:]


def _path(regression: Regression) -> Iterator[tuple[float, Tensor]]:
    """Weights by strength, as far as they are finite."""
    weights = regression.start()
    for strength in STRENGTHS:
        weights = fit_linear(regression, strength, weights)
        if not bool(torch.isfinite(weights).all()):
            return
        yield strength, weights


def _validated(
    problem: Problem,
    design: Design,
    weights: Tensor,
) -> float:
    """The mean validation loss."""
    rows = problem.split.validation
    given = _answers(problem, design, rows, weights).numpy()
    return float(row_losses(rows.label.numpy(), given, problem.config.loss).mean())


def _answers(
    problem: Problem,
    design: Design,
    rows: Rows,
    weights: Tensor,
) -> Tensor:
    loss = problem.config.loss
    return in_unit(linear_output(design, rows, weights), loss, unit_of(problem.split.train, loss))


def most_rows(width: int) -> int:
    """Of so many columns."""
    return max(1, min(MOST_WORK // width**2, MOST_VALUES // width))


def _fewer(
    rows: Rows,
    most: int,
) -> Rows:
    """Evenly over the time of the rows."""
    return rows.take(slice(None, None, math.ceil(len(rows) / most)))
