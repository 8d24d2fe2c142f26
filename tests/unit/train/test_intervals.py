"""The interval of a metric is the bootstrap's: its resamples are counted, its coverage too."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from schemas.events import ModelTrained
from tests.unit.train.fakes import Mesh
from train_svc import intervals
from train_svc.adapters.lightgbm_baseline import LightGbmBaseline
from train_svc.evaluation import scores_of
from train_svc.intervals import interval_metrics, measures_of
from twinstream.nn.files import BINARY
from twinstream.protocol.model_metrics import BOOSTING, HIGH, LOW, TEMPERATURE

SQUARES = "mean_squared_error"
SIMULATIONS = 300


def drawn(rows: int, seed: int, loss: str = BINARY) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and answers of which some are equal."""
    dice = np.random.default_rng([rows, seed])
    logits = dice.normal(-0.5, 1.2, rows).round(2)
    sure = 1 / (1 + np.exp(-logits))
    if loss == BINARY:
        return (dice.random(rows) < sure).astype(np.float64), sure
    return logits + dice.normal(size=rows), logits


def interval(
    label: np.ndarray, given: np.ndarray, loss: str = BINARY, seed: int = 1, only: str = ""
) -> dict[str, float]:
    found = scores_of(label, given, loss)
    found = {only: found[only]} if only else found
    return interval_metrics(label, {"": given}, found, loss, seed)


@pytest.mark.parametrize("loss", [BINARY, SQUARES])
def test_a_resample_has_the_scores_of_its_rows_written_out(loss: str) -> None:
    """All but the calibration error, whose bins stay those of all rows."""
    label, given = drawn(400, 1, loss)
    dice = np.random.default_rng(5)
    chosen = [dice.integers(0, 400, 400) for _ in range(3)]
    weights = np.array([np.bincount(one, minlength=400) for one in chosen], np.float64)
    found = {name: measure(weights) for name, measure in measures_of(label, given, loss).items()}
    for i, one in enumerate(chosen):
        written = scores_of(label[one], given[one], loss)
        assert found.keys() == written.keys() - {"rows"}
        for name in found.keys() - {"ece"}:
            assert found[name][i] == pytest.approx(written[name], rel=1e-9)


def test_all_rows_once_have_the_scores_of_all_rows() -> None:
    label, given = drawn(400, 1)
    written = scores_of(label, given, BINARY)
    for name, measure in measures_of(label, given, BINARY).items():
        assert measure(np.ones((1, 400)))[0] == pytest.approx(written[name])


@pytest.mark.slow
@pytest.mark.parametrize(("name", "loss"), [("brier", BINARY), ("auc", BINARY), ("rmse", SQUARES)])
def test_the_truth_is_in_nineteen_of_twenty_intervals(name: str, loss: str) -> None:
    """The truth is the score on a million rows; an interval of 300 rows is a little short."""
    truth = scores_of(*drawn(1_000_000, 0, loss), loss)[name]
    held = 0
    for seed in range(1, SIMULATIONS + 1):
        found = interval(*drawn(300, seed, loss), loss, only=name)
        held += found[name + LOW] <= truth <= found[name + HIGH]
    assert 0.91 <= held / SIMULATIONS <= 0.98


def test_the_interval_of_a_mean_is_as_wide_as_its_error() -> None:
    """Of 4,000 rows the mean is as good as normal: 1.96 standard errors to both sides."""
    label, given = drawn(4000, 2)
    found = interval(label, given)
    error = np.std((given - label) ** 2) / np.sqrt(4000)
    middle = np.mean((given - label) ** 2)
    assert found["brier" + LOW] == pytest.approx(middle - 1.96 * error, abs=0.2 * error)
    assert found["brier" + HIGH] == pytest.approx(middle + 1.96 * error, abs=0.2 * error)


def test_the_same_rows_and_seed_have_the_same_intervals() -> None:
    label, given = drawn(300, 1)
    assert interval(label, given) == interval(label, given)
    assert interval(label, given) != interval(label, given, seed=2)


def test_of_many_rows_a_part_has_the_interval_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    label, given = drawn(20_000, 1)
    whole = interval(label, given)
    monkeypatch.setattr(intervals, "MOST_ROWS", 4000)
    part = interval(label, given)
    for name in ("auc", "log_loss"):
        width = whole[name + HIGH] - whole[name + LOW]
        assert part[name + HIGH] - part[name + LOW] == pytest.approx(width, rel=0.2)
        assert part[name + LOW] == pytest.approx(whole[name + LOW], abs=0.2 * width)


def test_of_many_rows_fewer_resamples_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intervals, "MOST_DRAWS", 300 * 250)
    monkeypatch.setattr(intervals, "DRAWS_AT_ONCE", 300 * 60)
    parts = list(intervals._resamples(300, np.random.default_rng(1)))
    assert [len(part) for part in parts] == [60, 60, 60, 60, 10]
    assert all((part.sum(axis=1) == 300).all() for part in parts)


def test_one_positive_row_leaves_an_interval_of_the_resamples_that_have_it() -> None:
    label, given = drawn(100, 1)
    label[:] = 0
    label[7] = 1
    found = interval(label, given)
    assert 0 <= found["auc" + LOW] <= found["auc" + HIGH] <= 1


def test_every_test_score_of_a_model_has_an_interval(tmp_path: Path) -> None:
    mesh = Mesh(tmp_path, search={"width": 16})
    mesh.baselines[BOOSTING] = LightGbmBaseline(20)
    mesh.land(1)
    trained = mesh.run(mesh.service())[0]
    assert isinstance(trained, ModelTrained)
    found = trained.metrics
    scored = {name.removesuffix(LOW) for name in found if name.endswith(LOW)}
    assert scored >= {"auc", "log_loss", "brier", "accuracy", "ece", "baseline_log_loss"}
    assert scored >= {"linear_auc", "boosting_auc", "uncalibrated_ece", "base_rate"}
    assert TEMPERATURE not in scored
    for name in scored - {"ece", "uncalibrated_ece"}:
        assert found[name + LOW] <= found[name] <= found[name + HIGH]
