"""The linear model is what other ways of fitting it find."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from tests.unit.train.problems import INPUTS, problem, straight
from train_svc.adapters.linear_baseline import STRENGTHS, LinearBaseline, most_rows
from train_svc.linear import COMMON, Design, Regression, common_codes, fit_linear
from train_svc.ports import Problem
from train_svc.scores import auc
from twinstream.nn.files import BINARY

SQUARES, ABSOLUTE = "mean_squared_error", "mean_absolute_error"


def regression_of(given: Problem) -> Regression:
    train = given.split.train
    design = Design(given.inputs, given.statistics, train)
    return Regression.of(design, train, train.label, given.config.loss)


def columns_of(given: Regression) -> np.ndarray:
    return torch.cat([columns.double() for columns, _ in given.chunks]).numpy()


def wanted_of(given: Regression) -> np.ndarray:
    return torch.cat([wanted for _, wanted in given.chunks]).numpy()


def fitted(given: Regression, strength: float) -> np.ndarray:
    return fit_linear(given, strength, given.start()).numpy()


@pytest.mark.parametrize("strength", [1e-1, 1e-4])
def test_logistic_regression_is_that_of_scikit_learn(strength: float) -> None:
    """Its penalty is of the sum of the losses, ours of their mean."""
    given = regression_of(problem(straight, rows=500))
    columns = columns_of(given)
    theirs = LogisticRegression(C=1 / (strength * len(columns)), tol=1e-10, max_iter=10_000)
    theirs.fit(columns[:, :-1], wanted_of(given))
    ours = fitted(given, strength)
    np.testing.assert_allclose(ours[:-1], theirs.coef_[0], atol=1e-4)
    assert ours[-1] == pytest.approx(theirs.intercept_[0], abs=1e-4)


def test_least_squares_with_a_penalty_solve_their_normal_equations() -> None:
    given = regression_of(problem(straight, SQUARES, rows=500))
    columns, strength = columns_of(given), 0.01
    penalty = np.diag([strength * len(columns)] * (columns.shape[1] - 1) + [0.0])
    closed = np.linalg.solve(columns.T @ columns + penalty, columns.T @ wanted_of(given))
    np.testing.assert_allclose(fitted(given, strength), closed, atol=1e-8)


def test_least_absolute_errors_are_less_than_those_of_least_squares() -> None:
    """And they leave a label of a million where it is."""
    squares, absolute = (problem(straight, loss, rows=500) for loss in (SQUARES, ABSOLUTE))
    for given in (squares, absolute):
        given.split.train.label[:10] = 1e6
    errors = [
        np.abs(columns_of(one) @ fitted(one, 1e-4) - wanted_of(one))[10:].mean()
        for one in map(regression_of, (squares, absolute))
    ]
    assert errors[1] < 1.0 < 1000 < errors[0]


def test_it_reads_numbers_nulls_categories_and_sequences() -> None:
    """Its AUC is almost that of the signal which made the labels."""
    given = problem(straight)
    test = given.split.test
    found = LinearBaseline().compare(given)
    label = test.label.numpy()
    assert auc(label, found.answers) > auc(label, straight(test)) - 0.01
    assert found.facts["strength"] in STRENGTHS
    assert found.facts["rows"] == len(given.split.train)


def test_numbers_come_in_the_unit_of_the_label() -> None:
    given = problem(straight, SQUARES)
    for rows in (given.split.train, given.split.validation, given.split.test):
        rows.label.mul_(80_000).add_(250_000)
    found = LinearBaseline().compare(given)
    error = found.answers - given.split.test.label.numpy()
    assert np.sqrt(np.mean(error**2)) == pytest.approx(80_000, rel=0.1)


def test_the_commonest_categories_have_a_column() -> None:
    codes = torch.tensor([5, 5, 5, 2, 2, 9, 9, 1])
    assert common_codes(codes, 3).tolist() == [5, 2, 9]
    many = torch.arange(10_000)[:, None]
    given = problem(straight, rows=10_000)
    rows = given.split.train
    wide = type(rows)(rows.numeric, many, rows.sequences, rows.label)
    assert Design(INPUTS, given.statistics, wide).width == 2 * (2 + 3) + COMMON + 1


def test_of_wide_inputs_fewer_rows_are_taken() -> None:
    assert [most_rows(width) for width in (1, 1000, 10**6)] == [5 * 10**7, 50_000, 1]


def test_labels_that_are_split_apart_have_finite_weights() -> None:
    """Without a penalty they would grow for ever."""
    given = problem(straight)
    for rows in (given.split.train, given.split.validation, given.split.test):
        rows.label.copy_((rows.numeric[:, 0] > 0).double())
    found = LinearBaseline().compare(given)
    assert np.isfinite(found.answers).all()
    assert auc(given.split.test.label.numpy(), found.answers) > 0.98
    assert given.config.loss == BINARY
