"""AUC and log loss as predictions get their labels."""

import numpy as np
import pytest
from sklearn.metrics import log_loss as sklearn_log_loss
from sklearn.metrics import roc_auc_score

from monitor_svc.label_rows import Asked, Outcome
from monitor_svc.quality import MAX_POINTS, MAX_RELEASES, Cumulative, Quality, auc, log_losses
from tests.unit.monitor.world import scores_and_labels


def outcome(
    score: float,
    label: float,
    before: float | None = None,
    release: str = "r",
    how: str = "arrived",
) -> Outcome:
    asked = Asked(model="m", release=release, model_digest="d", at_us=0, score=score, label=label)
    return Outcome(asked=asked, label=label, before=before, how=how)


def test_auc_equals_the_reference_with_ties() -> None:
    scores, labels = scores_and_labels(3000, 1.0)
    scores = scores.round(2)
    assert auc(scores, labels) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)


def test_auc_is_none_when_only_one_outcome_was_seen() -> None:
    assert auc(np.array([0.1, 0.2]), np.array([1.0, 1.0])) is None


def test_cumulative_stays_within_its_bound_of_the_exact_values() -> None:
    scores, labels = scores_and_labels(20_000, 1.0)
    measure = Cumulative()
    for score, label in zip(scores, labels, strict=True):
        measure.add(score, label)
    assert measure.auc() == pytest.approx(roc_auc_score(labels, scores), abs=1e-3)
    assert measure.log_loss() == pytest.approx(sklearn_log_loss(labels, scores))
    assert log_losses(scores, labels).mean() == pytest.approx(sklearn_log_loss(labels, scores))


def test_revised_label_leaves_nothing_of_the_label_before() -> None:
    quality, straight = Quality(100, 10), Quality(100, 10)
    first = outcome(0.7, 1.0)
    quality.take(first, 1)
    first.asked.label = 0.0
    quality.take(Outcome(asked=first.asked, label=0.0, before=1.0, how="revised"), 2)
    straight.take(outcome(0.7, 0.0), 1)
    assert quality.all.n == 1
    assert quality.all.log_loss() == pytest.approx(straight.all.log_loss())
    assert quality.rolling()[1].tolist() == [0.0]


def test_history_and_releases_are_bounded() -> None:
    quality = Quality(10, 1)
    for n in range(3 * MAX_POINTS):
        quality.take(outcome(0.5, float(n % 2), release=f"r{n}"), n)
    assert len(quality.points) <= MAX_POINTS
    assert len(quality.releases) == MAX_RELEASES
    assert quality.points[-1].labelled == 3 * MAX_POINTS


def test_calibration_has_one_entry_per_tenth() -> None:
    quality = Quality(1000, 100)
    for score, label in zip(*scores_and_labels(1000, 1.0), strict=True):
        quality.take(outcome(float(score), float(label)), 1)
    tenths = quality.calibration()
    assert [t["n"] for t in tenths] == [100] * 10
    assert tenths == sorted(tenths, key=lambda t: t["score"])
