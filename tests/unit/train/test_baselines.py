"""What is told beside a model: baselines on its own rows, bounded, and never in its way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from schemas.events import Event, ModelPromoted, ModelRejected, ModelTrained
from tests.unit.train.fakes import Mesh
from tests.unit.train.problems import crossed, problem, straight
from train_svc import baselines
from train_svc.adapters.lightgbm_baseline import LightGbmBaseline
from train_svc.adapters.linear_baseline import LinearBaseline
from train_svc.baselines import bounded_problem, fit_baselines
from train_svc.plain_inputs import summary_of
from train_svc.ports import FittedBaseline, Problem
from train_svc.scores import auc
from train_svc.settings import TrainSettings
from twinstream.nn.digest import CONFIG
from twinstream.protocol.model_metrics import BOOSTING, LINEAR


class Fails:
    def compare(self, given: Problem) -> FittedBaseline:
        raise OSError("libgomp.so.1: cannot open shared object file")


class NotFinite:
    def compare(self, given: Problem) -> FittedBaseline:
        return FittedBaseline(np.full(len(given.split.test), np.nan), {})


def trained_in(mesh: Mesh) -> tuple[ModelTrained, Event]:
    mesh.land(1)
    trained, verdict = mesh.run(mesh.service())
    assert isinstance(trained, ModelTrained)
    return trained, verdict


def test_boosting_finds_what_a_linear_model_cannot() -> None:
    """The label is the sign of a product in 98 of 100 rows, where the sequence has a value."""
    given = problem(crossed)
    label = given.split.test.label.numpy()
    boosted = LightGbmBaseline(rounds=100).compare(given)
    linear = LinearBaseline().compare(given)
    best = auc(label, crossed(given.split.test))
    assert auc(label, boosted.answers) > best - 0.03
    assert auc(label, linear.answers) < 0.55
    assert 0 < boosted.facts["rounds"] <= 100


def test_boosting_answers_numbers_in_the_unit_of_the_label() -> None:
    given = problem(straight, "mean_squared_error")
    for rows in (given.split.train, given.split.validation, given.split.test):
        rows.label.mul_(80_000).add_(250_000)
    error = LightGbmBaseline(100).compare(given).answers - given.split.test.label.numpy()
    assert np.sqrt(np.mean(error**2)) < 1.3 * 80_000


def test_a_sequence_is_told_by_its_newest_its_mean_and_its_count() -> None:
    steps = np.array([[3.0, 1.0, np.nan], [np.nan, 5.0, np.nan], [np.nan] * 3])
    wanted = [[3.0, 2.0, 2.0], [np.nan, 5.0, 1.0], [np.nan, np.nan, 0.0]]
    np.testing.assert_array_equal(summary_of(steps), wanted)


def test_a_model_is_told_beside_both_on_its_own_rows(tmp_path: Path) -> None:
    mesh = Mesh(tmp_path, search={"width": 16})
    mesh.baselines[BOOSTING] = LightGbmBaseline(20)
    trained, verdict = trained_in(mesh)
    found = trained.metrics
    assert found["linear_rows"] == found["boosting_rows"] == found["train_rows"]
    assert {"linear_auc", "linear_log_loss", "boosting_auc", "boosting_log_loss"} <= found.keys()
    assert found["linear_log_loss"] < found["baseline_log_loss"]
    assert isinstance(verdict, ModelPromoted)
    assert "; without" not in verdict.reason


@pytest.mark.parametrize(("baseline", "reason"), [(Fails(), "libgomp"), (NotFinite(), "finite")])
def test_a_baseline_that_fails_is_left_out_and_said_so(
    tmp_path: Path, baseline: Any, reason: str
) -> None:
    mesh = Mesh(tmp_path, search={"width": 16})
    mesh.baselines[BOOSTING] = baseline
    trained, verdict = trained_in(mesh)
    assert trained.metrics["boosting_left_out"] == 1.0
    assert "boosting_log_loss" not in trained.metrics
    assert "linear_log_loss" in trained.metrics
    assert isinstance(verdict, ModelPromoted)
    assert "without boosting to compare with" in verdict.reason
    config = json.loads(mesh.kept.files[trained.model_digest][CONFIG])
    assert reason in config["training"]["baselines_left_out"][BOOSTING]


def test_a_rejection_says_which_baseline_was_left_out(tmp_path: Path) -> None:
    mesh = Mesh(tmp_path, search={"width": 16}, good_enough={"auc": 0.999})
    mesh.baselines[LINEAR] = Fails()
    _, verdict = trained_in(mesh)
    assert isinstance(verdict, ModelRejected)
    assert "without a linear model to compare with" in verdict.reason


def test_of_many_rows_a_baseline_is_fitted_on_a_part_and_asked_all() -> None:
    given = problem(straight, rows=1000)
    smaller = bounded_problem(given, 100).split
    assert (len(smaller.train), len(smaller.validation), len(smaller.test)) == (100, 50, 500)
    again = bounded_problem(given, 100).split
    assert (smaller.train.numeric.numpy().tobytes()) == again.train.numeric.numpy().tobytes()


def test_of_many_inputs_a_baseline_is_fitted_on_fewer_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(baselines, "MOST_CELLS", 600)
    assert len(bounded_problem(problem(straight, rows=1000), 500).split.train) == 600 // 6


def test_with_no_rows_allowed_neither_is_fitted() -> None:
    settings = TrainSettings(baseline_rows=0)
    found = fit_baselines(problem(straight, rows=100), {LINEAR: Fails()}, settings)
    assert (found.answers, found.facts, found.reasons) == ({}, {}, {})


def test_the_digest_of_a_model_does_not_depend_on_its_baselines(tmp_path: Path) -> None:
    digests = []
    for name, made in (("with", {LINEAR: LinearBaseline()}), ("without", {})):
        mesh = Mesh(tmp_path / name, search={"width": 16})
        mesh.baselines = dict(made)
        digests.append(trained_in(mesh)[0].model_digest)
    assert digests[0] == digests[1]
    assert msgspec.to_builtins(TrainSettings())["baseline_rows"] > 0
