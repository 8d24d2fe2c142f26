"""Drift is found where there is some, and not where there is none;
training is asked for when it is due.
"""

import numpy as np
import pytest

from monitor_svc.drift import FeatureDrift, ModelDrift, Persistence, StreamDrift
from monitor_svc.retraining import Debounce, reason_to_retrain
from monitor_svc.settings import MonitorSettings
from tests.unit.monitor.world import scores_and_labels


def feed(drift: FeatureDrift, n: int, rng: np.random.Generator, shift: float = 0.0) -> None:
    for a, b in rng.normal(size=(n, 2)):
        drift.update(
            {
                "moved": a + shift,
                "still": b,
                "text": "JFK",
                "legs": [1.0, 2.0],
                "sometimes": None if a > 0 else b,
            }
        )


def test_adwin_finds_a_shift_and_no_more() -> None:
    rng = np.random.default_rng(3)
    stream = StreamDrift("score", 0.002)
    for value in rng.normal(size=3000):
        stream.update(value)
    assert not stream.check().drifted
    for value in rng.normal(1.0, size=500):
        stream.update(value)
    found = stream.check()
    assert found.drifted
    assert found.statistic > 0
    assert stream.check() is None


def test_ks_finds_the_series_that_moved() -> None:
    rng = np.random.default_rng(3)
    drift = FeatureDrift(2000, 500, 0.2)
    feed(drift, 2400, rng)
    assert drift.check() == []
    feed(drift, 100, rng)
    assert not any(f.drifted for f in drift.check())
    feed(drift, 500, rng, shift=1.0)
    assert [f.series for f in drift.check() if f.drifted] == ["moved"]
    assert drift.check()[0].shift == pytest.approx(1.0, abs=0.15)


def test_nulls_are_counted_and_not_taken_for_numbers() -> None:
    drift = FeatureDrift(500, 500, 0.2)
    feed(drift, 1000, np.random.default_rng(3))
    found = {f.series: f for f in drift.check()}
    assert set(found) == {"moved", "still", "sometimes"}
    assert found["sometimes"].nulls == pytest.approx(0.5, abs=0.1)


def test_series_that_comes_later_has_no_past() -> None:
    drift = FeatureDrift(200, 200, 0.2)
    for _ in range(200):
        drift.update({"a": 1.0})
    for _ in range(200):
        drift.update({"a": 1.0, "b": 2.0})
    assert [f.series for f in drift.check()] == ["a"]


def test_drift_lasts_when_enough_checks_in_a_row_found_it() -> None:
    knobs = MonitorSettings(reference=300, window=200, drift_step=100, persist_checks=3)
    drift, rng = ModelDrift(knobs), np.random.default_rng(5)
    for n, value in enumerate(rng.normal(0.3, 0.05, size=1500)):
        drift.predicted(value + (0.3 if n >= 500 else 0.0), {})
        if n == 700:
            assert drift.lasting() == []
    assert drift.lasting() == ["score"]


def test_run_of_drift_ends_when_one_check_finds_none() -> None:
    persistence = Persistence(2)
    stream = StreamDrift("score", 0.002)
    for value in [0.0] * 500 + [5.0] * 500:
        stream.update(value)
    persistence.take([stream.check()])
    stream.update(5.0)
    persistence.take([stream.check()])
    assert persistence.runs == {("score", "adwin"): 0}


def reason(skill: float, n: int = 3000, **more: object) -> str | None:
    arguments = {
        "good_enough": {"auc": 0.75},
        "min_labelled": 2000,
        "lasting": [],
        "series": 30,
        **more,
    }
    return reason_to_retrain(*scores_and_labels(n, skill), **arguments)


def test_training_is_asked_for_when_quality_falls_below_good_enough() -> None:
    assert reason(0.2).startswith("quality: AUC 0.5")
    assert reason(0.2, good_enough={"log_loss": 0.1}).startswith("quality: log loss")


def test_training_is_not_asked_for_when_quality_is_good_or_not_known() -> None:
    assert reason(2.0) is None
    assert reason(0.2, n=1999) is None
    assert reason(0.2, good_enough={}) is None


def test_training_is_not_asked_for_when_chance_may_explain_the_number() -> None:
    scores, labels = scores_and_labels(2000, 0.96)
    assert reason_to_retrain(scores, labels, {"auc": 0.76}, 2000, lasting=[], series=30) is None


@pytest.mark.parametrize(
    ("lasting", "due"), [(["score"], True), (["hour"], False), ([f"f{n}" for n in range(10)], True)]
)
def test_training_is_asked_for_when_drift_lasts_where_it_matters(
    lasting: list[str], due: bool
) -> None:
    assert (reason(2.0, lasting=lasting) is not None) is due


def test_request_is_not_repeated_within_its_quiet_time_or_for_the_same_training_set() -> None:
    debounce = Debounce(100)
    assert debounce.allows("m", "model", "set", 0)
    debounce.asked("m", 0, "model", "set")
    assert not debounce.allows("m", "model", "newer set", 99)
    assert not debounce.allows("m", "model", "set", 500)
    assert debounce.allows("m", "model", "newer set", 100)
