import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

from train_svc import scores


def test_scores_equal_those_of_a_reference_when_scores_tie() -> None:
    rng = np.random.default_rng(1)
    label = rng.integers(0, 2, 500)
    probability = np.round(rng.random(500), 1) * 0.98 + 0.01
    found = scores.binary(label, probability)
    assert found["auc"] == pytest.approx(roc_auc_score(label, probability))
    assert found["log_loss"] == pytest.approx(log_loss(label, probability))
    assert found["brier"] == pytest.approx(brier_score_loss(label, probability))
    assert found["rows"] == 500


def test_auc_is_missing_when_there_is_one_class_only() -> None:
    assert "auc" not in scores.binary(np.ones(3), np.array([0.1, 0.5, 0.9]))


def test_a_certain_and_wrong_probability_has_a_finite_loss() -> None:
    assert np.isfinite(scores.binary(np.array([0.0, 1.0]), np.array([1.0, 0.0]))["log_loss"])
