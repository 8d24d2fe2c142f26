"""A model's metrics stand beside those of simpler models."""

from __future__ import annotations

import pytest

from twinstream.cli.model_metrics import (
    measured_beside,
    print_metrics,
    quality_rows,
    rest_of,
)

METRICS = {
    "auc": 0.81,
    "log_loss": 0.4,
    "baseline_log_loss": 0.69,
    "linear_auc": 0.78,
    "linear_log_loss": 0.43,
    "boosting_left_out": 1.0,
    "validation_auc": 0.82,
}


def test_quality_stands_beside_that_of_simpler_models() -> None:
    named = measured_beside(METRICS)
    assert quality_rows(METRICS, named) == [
        ["auc", "0.81", "", "0.78", ""],
        ["log_loss", "0.4", "0.69", "0.43", ""],
    ]
    assert rest_of(METRICS, named) == [["boosting_left_out", "1"], ["validation_auc", "0.82"]]


def test_a_metric_stands_with_its_interval() -> None:
    found = {**METRICS, "auc_low": 0.79, "auc_high": 0.83, "brier": 0.2, "brier_low": 0.19}
    named = measured_beside(found)
    assert quality_rows(found, named)[0] == ["auc", "0.81 (0.79 to 0.83)", "", "0.78", ""]
    assert [row[0] for row in rest_of(found, named)] == [
        "boosting_left_out",
        "brier",
        "validation_auc",
    ]


def test_metrics_of_a_forged_event_are_shown_as_they_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_metrics({"[red]auc\x1b": 1.0})
    assert "\x1b" not in capsys.readouterr().out
