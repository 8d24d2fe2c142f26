"""Which model is promoted: good enough, better than one answer for all, and surely better than what
serves.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from train_svc.evidence import MANY, ONE_ANSWER, Evidence, paired
from train_svc.promotion import Bounds, Verdict, judge
from train_svc.scores import row_losses
from twinstream.nn.files import BINARY

LOG_LOSS = Bounds(measure="log_loss")
LEARNED = {"log_loss": 0.4, "baseline_log_loss": 0.7}
Floats = NDArray[np.float64]
RETRAININGS = 400
TEST_ROWS = [300, 1500, 10_000]


def evidence(gain: float, rows: int = 1000) -> Evidence:
    return Evidence(rows=rows, ours=0.40, theirs=0.41, gain=gain)


def test_a_model_is_rejected_when_a_bound_is_not_met() -> None:
    verdict = judge(LEARNED | {"auc": 0.74}, {"auc": 0.75}, None, LOG_LOSS)
    assert not verdict.promoted
    assert "auc is 0.7400, good enough is at least 0.75" in verdict.reason


def test_a_metric_that_is_missing_or_not_a_number_is_not_good_enough() -> None:
    assert not judge(LEARNED, {"auc": 0.75}, None, LOG_LOSS).promoted
    assert not judge(LEARNED | {"auc": math.nan}, {"auc": 0.5}, None, LOG_LOSS).promoted


def test_a_bound_from_above_holds_for_losses() -> None:
    assert judge(LEARNED, {"log_loss": 0.41}, None, LOG_LOSS).promoted
    assert not judge(LEARNED | {"log_loss": 0.42}, {"log_loss": 0.41}, None, LOG_LOSS).promoted


def test_what_was_not_measured_is_no_evidence() -> None:
    """An event of anybody's may lack the measure: a verdict, not a KeyError three times."""
    verdict = judge({"auc": 0.9}, {}, evidence(1.0), LOG_LOSS)
    assert verdict == Verdict(promoted=False, reason="log_loss was not measured")
    verdict = judge({"log_loss": 1e-9}, {}, None, LOG_LOSS)
    assert verdict == Verdict(promoted=False, reason="baseline_log_loss was not measured")


@pytest.mark.parametrize("champion", [None, evidence(1.0)])
def test_a_model_that_learned_nothing_is_never_promoted(champion: Evidence | None) -> None:
    metrics = {"log_loss": 0.5, "baseline_log_loss": 0.5}
    verdict = judge(metrics, {}, champion, LOG_LOSS)
    assert not verdict.promoted
    assert "nothing was learned" in verdict.reason
    assert judge(metrics | {"log_loss": 0.49}, {}, champion, LOG_LOSS).promoted


@pytest.mark.parametrize(
    ("gain", "margin", "promoted"),
    [
        (0.001, 0.0, True),
        (0.0, 0.0, False),
        (-0.001, 0.0, False),
        (0.001, 0.01, False),
        (0.005, 0.01, True),
        (-0.001, -0.01, True),
    ],
)
def test_a_model_replaces_another_when_it_is_surely_better_by_the_margin(
    gain: float, margin: float, promoted: bool
) -> None:
    bounds = Bounds(measure="log_loss", margin=margin)
    assert judge(LEARNED, {}, evidence(gain), bounds).promoted == promoted


def test_on_few_rows_no_model_replaces_another() -> None:
    bounds = Bounds(measure="log_loss", least_rows=100)
    assert judge(LEARNED, {}, evidence(0.1, rows=100), bounds).promoted
    verdict = judge(LEARNED, {}, evidence(0.1, rows=99), bounds)
    assert not verdict.promoted
    assert "fewer than 100 rows" in verdict.reason


@pytest.mark.parametrize(("gain", "promoted"), [(0.001, True), (0.0, False), (-0.001, False)])
def test_what_cannot_be_compared_is_followed_by_what_is_surely_better_than_one_answer(
    gain: float, promoted: bool
) -> None:
    """A margin is of the promoted model, whose loss nobody knows."""
    found = Evidence(rows=1000, ours=0.40, theirs=0.41, gain=gain, other=ONE_ANSWER)
    for margin in (-1.0, 0.0, 1.0):
        verdict = judge(LEARNED, {}, found, Bounds(measure="log_loss", margin=margin))
        assert verdict.promoted == promoted
        assert "one answer for all rows" in verdict.reason


@pytest.mark.parametrize("rows", [100, 300, 1500])
def test_a_model_worse_than_one_answer_follows_nothing(rows: int) -> None:
    """Its logit is the base rate's and noise; its figure is often the smaller one by chance."""
    bounds = Bounds(measure="log_loss", least_rows=100)
    surely = by_chance = 0
    for seed in range(RETRAININGS):
        dice = np.random.default_rng([rows, seed])
        label = (dice.random(rows) < 0.3).astype(np.float64)
        noisy = _probability(np.log(0.3 / 0.7) + dice.normal(0, 0.1, rows))
        one = row_losses(label, np.full(rows, 0.3), BINARY)
        found = paired(row_losses(label, noisy, BINARY), one, ONE_ANSWER)
        by_chance += found.ours < found.theirs
        surely += judge(LEARNED, {}, found, bounds).promoted
    assert surely <= 0.05 * RETRAININGS < by_chance


def retrained(rows: int, noise: float, seed: int) -> Evidence:
    """A service with a true logit a row; what serves knows it with an error of 0.6, the new model
    with one of `noise`, independently.
    """
    dice = np.random.default_rng([rows, seed])
    logit = dice.normal(-1.0, 1.2, rows)
    label = (dice.random(rows) < _probability(logit)).astype(np.float64)
    theirs = row_losses(label, _probability(logit + dice.normal(0, 0.6, rows)), BINARY)
    ours = row_losses(label, _probability(logit + dice.normal(0, noise, rows)), BINARY)
    return paired(ours, theirs)


def _probability(logit: Floats) -> Floats:
    return 1 / (1 + np.exp(-logit))


def share_promoted(rows: int, noise: float) -> float:
    bounds = Bounds(measure="log_loss", least_rows=100)
    verdicts = [
        judge(LEARNED, {}, retrained(rows, noise, seed), bounds) for seed in range(RETRAININGS)
    ]
    return sum(verdict.promoted for verdict in verdicts) / RETRAININGS


@pytest.mark.slow
@pytest.mark.parametrize("rows", TEST_ROWS)
def test_an_equal_model_is_promoted_in_one_of_twenty_retrainings_at_most(rows: int) -> None:
    assert share_promoted(rows, noise=0.6) <= 0.05


@pytest.mark.slow
@pytest.mark.parametrize("rows", TEST_ROWS)
def test_a_worse_model_is_promoted_in_one_of_a_hundred_at_most(rows: int) -> None:
    assert share_promoted(rows, noise=0.8) <= 0.01


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "noise"), [(1500, 0.2), (10_000, 0.4)])
def test_a_clearly_better_model_is_promoted_in_four_of_five(rows: int, noise: float) -> None:
    assert share_promoted(rows, noise) >= 0.8


def test_the_interval_of_many_rows_is_that_of_few() -> None:
    """On both sides of the number from which the normal distribution is taken."""
    gains = np.random.default_rng(3).exponential(1.0, MANY) - 0.9
    nothing = np.zeros(MANY)
    resampled = paired(nothing[:-1], gains[:-1]).gain
    assert paired(nothing, gains).gain == pytest.approx(resampled, abs=0.01)
