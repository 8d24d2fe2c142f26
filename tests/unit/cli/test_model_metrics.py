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


def test_metrics_of_a_forged_event_are_shown_as_they_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_metrics({"[red]auc\x1b": 1.0})
    assert "\x1b" not in capsys.readouterr().out
