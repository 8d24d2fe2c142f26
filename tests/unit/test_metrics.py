"""What a flush sends of metrics."""

from __future__ import annotations

from twinstream.mesh.metrics import summary


def test_quantiles_are_values_that_were_seen() -> None:
    assert summary(range(100)) == {"p50": 50.0, "p99": 99.0, "max": 99.0}


def test_one_observation_is_every_quantile() -> None:
    assert summary([3.5]) == {"p50": 3.5, "p99": 3.5, "max": 3.5}
