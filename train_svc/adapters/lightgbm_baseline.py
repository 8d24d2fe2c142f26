"""Gradient boosting with LightGBM beside a network; its model is kept nowhere."""

from __future__ import annotations

from typing import Any

import numpy as np

from train_svc.evaluation import unit_of
from train_svc.plain_inputs import Matrix, plain_numbers
from train_svc.ports import FittedBaseline, Problem
from train_svc.rows import Rows
from twinstream.nn.files import BINARY

OBJECTIVES = {
    BINARY: "binary",
    "mean_squared_error": "regression",
    "mean_absolute_error": "regression_l1",
}
PATIENCE = 30
"""Trees without a better validation loss that end it."""


class LightGbmBaseline:
    """At most `rounds` trees, as many as the validation rows say."""

    def __init__(
        self,
        rounds: int,
    ) -> None:
        self._rounds = rounds

    def compare(
        self,
        problem: Problem,
    ) -> FittedBaseline:
        """Raises what LightGBM raises, and ImportError or OSError where it cannot be loaded."""
        split = problem.split
        found = self._boosted(problem)
        given = found.predict(_matrix(split.test), num_iteration=found.best_iteration)
        facts = {"rows": float(len(split.train)), "rounds": float(found.best_iteration)}
        return FittedBaseline(_in_unit(problem, given), facts)

    def _boosted(
        self,
        problem: Problem,
    ) -> Any:
        import lightgbm

        train = _dataset(problem, problem.split.train)
        rows = problem.split.validation
        return lightgbm.train(
            _parameters(problem),
            train,
            self._rounds,
            valid_sets=[train.create_valid(_matrix(rows), _label(problem, rows))],
            callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False)],
        )


def _dataset(
    problem: Problem,
    rows: Rows,
) -> Any:
    import lightgbm

    matrix = _matrix(rows)
    categories = range(matrix.shape[1] - len(problem.inputs.categorical), matrix.shape[1])
    return lightgbm.Dataset(
        matrix,
        _label(problem, rows),
        categorical_feature=list(categories),
        params={"verbose": -1},
    )


def _parameters(problem: Problem) -> dict[str, Any]:
    config = problem.config
    return {
        "objective": OBJECTIVES[config.loss],
        "seed": config.seed,
        "deterministic": True,
        "force_col_wise": True,
        "num_threads": max(1, config.threads),
        "verbose": -1,
    }


def _matrix(rows: Rows) -> Matrix:
    """float64[n, numbers + categories]: NaN for null, categories as their codes, behind them."""
    return np.concatenate([plain_numbers(rows), rows.categorical.numpy()], axis=1)


def _label(
    problem: Problem,
    rows: Rows,
) -> Matrix:
    unit = unit_of(problem.split.train, problem.config.loss)
    return (rows.label.numpy() - unit.centre) / unit.scale


def _in_unit(
    problem: Problem,
    given: Any,
) -> Any:
    unit = unit_of(problem.split.train, problem.config.loss)
    return unit.centre + unit.scale * given
