"""Models of numbers are measured by RMSE and MAE, in the label's own unit."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, root_mean_squared_error

from examples.shop.pipeline import by_shopper, orders, visits
from monitor_svc import snapshot
from monitor_svc.drift import ABSOLUTE_ERROR
from monitor_svc.label_rows import LabelRow
from monitor_svc.quality import Errors, measured_scores
from monitor_svc.retraining import reason_to_retrain
from monitor_svc.settings import MonitorSettings
from monitor_svc.watch import ModelWatch
from schemas.events import Release
from twinstream import Label, Model
from twinstream.nn import TabularNetwork
from twinstream.protocol.predictions import Prediction

HOUR = 3_600_000_000
SPENT = Model(
    "spends",
    spine=visits,
    at="visited_at",
    views=[by_shopper],
    label=Label(
        "spent", orders, on="visit_id", horizon="1h", value=lambda order: order.amount, missing=0
    ),
    network=TabularNetwork,
    loss="mean_squared_error",
    good_enough={"rmse": 5.0},
)


def pairs(n: int = 500) -> tuple[np.ndarray, np.ndarray]:
    dice = np.random.default_rng(3)
    labels = dice.gamma(2.0, 20.0, n)
    return labels + dice.normal(0.0, 7.0, n), labels


def test_errors_are_those_of_the_reference_whatever_was_taken_back() -> None:
    given, labels = pairs()
    measure = Errors()
    for score, label in zip(given, labels, strict=True):
        measure.add(score, label)
        measure.add(score, label + 50.0)
        measure.add(score, label + 50.0, -1)
    expected = {
        "rmse": pytest.approx(root_mean_squared_error(labels, given)),
        "mae": pytest.approx(mean_absolute_error(labels, given)),
    }
    assert measure.n == 500
    assert measure.scores() == expected == measured_scores(given, labels, binary=False)
    assert Errors().scores() == measured_scores(given[:0], labels[:0], binary=False)


def test_errors_that_no_number_holds_are_not_told() -> None:
    measure = Errors()
    measure.add(1e300, -1e300)
    assert measure.scores()["rmse"] is None


def asked(number: int, output: float) -> Prediction:
    return Prediction(
        id=f"p-{number}",
        model="spends",
        release=Release(definition="d", epoch=1, model="m" * 64),
        at_us=number,
        request={"visit_id": f"v{number}", "visited_at": number},
        features={"by-shopper.visits_1h": 1.0},
        output=output,
        positions={},
        served_at_us=number,
    )


def watched(n: int = 400) -> ModelWatch:
    watch = ModelWatch(SPENT, MonitorSettings(rolling=n, quality_step=50, min_labelled=100))
    given, labels = pairs(n)
    for number, (output, label) in enumerate(zip(given, labels, strict=True)):
        watch.predicted(asked(number, float(output)), 0)
        row = LabelRow(key=(f"v{number}",), event_us=number, known_us=number, outcome=float(label))
        watch.labelled(row)
    watch.advance(3 * HOUR)
    return watch


def test_a_model_of_numbers_is_measured_shown_and_trained_again_when_it_misses_its_bound() -> None:
    watch = watched()
    given, labels = pairs(400)
    point = watch.quality.point(0)
    assert point.labelled == 400
    assert point.rmse_rolling == pytest.approx(root_mean_squared_error(labels, given))
    assert point.mae_all == pytest.approx(mean_absolute_error(labels, given))
    assert (point.auc_rolling, point.log_loss_all) == (None, None)
    assert watch.quality.calibration() == []
    assert watch.score_histogram() == {"recent": [], "first": []}
    (release,) = snapshot._releases(watch)
    assert release["rmse"] == point.rmse_all
    assert release["auc"] is None
    wanted = f"quality: RMSE {root_mean_squared_error(labels, given):.4g} is above 5 "
    assert (watch.reason_to_retrain() or "").startswith(wanted)


@pytest.mark.parametrize(
    ("bounds", "asked_for"),
    [({"rmse": 7.5}, ""), ({"rmse": 6.0}, "RMSE"), ({"mae": 6.5}, ""), ({"mae": 4.0}, "MAE")],
)
def test_training_is_asked_for_only_where_chance_does_not_explain_the_error(
    bounds: dict[str, float], asked_for: str
) -> None:
    """The errors have a standard deviation of 7, and so a mean size of 5.6."""
    found = reason_to_retrain(*pairs(2000), bounds, 100, lasting=[], series=9) or ""
    assert (asked_for in found) if asked_for else found == ""


def test_an_error_that_lasts_is_a_reason() -> None:
    found = reason_to_retrain(*pairs(5), {}, 100, lasting=[ABSOLUTE_ERROR], series=9)
    assert found == "drift: lasts in absolute_error"
