"""What a flush sends of metrics."""

from __future__ import annotations

import math
from typing import Any

import pytest

from schemas.events import MetricObserved
from twinstream.mesh import metrics as of_mesh
from twinstream.mesh.metrics import LONGEST_LABEL, MAX_SERIES, MOST_UNSENT, Metrics, summary
from twinstream.mesh.settings import MeshSettings


def test_quantiles_are_values_that_were_seen() -> None:
    assert summary(range(100)) == {"p50": 50.0, "p99": 99.0, "max": 99.0}


def test_one_observation_is_every_quantile() -> None:
    assert summary([3.5]) == {"p50": 3.5, "p99": 3.5, "max": 3.5}


def test_labels_of_sixty_thousand_values_make_a_bounded_number_of_series(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(of_mesh, "EventPublisher", lambda *_, **__: None)
    metrics = Metrics(MeshSettings(pipeline="none"), "x", flush_every_s=3600)
    for i in range(60_000):
        metrics.count("a_total", 1, key=f"{i}" + "v" * 10_000)
        metrics.gauge("b", i, key=i)
        metrics.observe("c", i, key=i)
    metrics.gauge("d", math.nan)
    taken = metrics._taken()
    counted = {m.name: 0.0 for m in taken}
    for metric in taken:
        counted[metric.name] += metric.value if metric.kind == "counter" else 1
    assert counted["a_total"] == counted["b"] == counted["c"] == MAX_SERIES
    assert counted["mesh_metrics_refused_total"] == 3 * (60_000 - MAX_SERIES) + 1
    assert max(len(v) for m in taken for v in m.labels.values()) <= LONGEST_LABEL


class Publisher:
    """Takes metrics; Kafka has none of them until `taken` is emptied."""

    def __init__(self, *_: object, **__: object) -> None:
        self.taken: list[MetricObserved] = []

    def __len__(self) -> int:
        return len(self.taken)

    def publish(self, metric: MetricObserved, **_: object) -> None:
        self.taken.append(metric)


def test_counts_add_up_while_kafka_takes_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_mesh, "EventPublisher", Publisher)
    metrics = Metrics(MeshSettings(pipeline="none"), "x", flush_every_s=3600)
    waiting: Any = metrics._publisher
    waiting.taken = [None] * MOST_UNSENT
    for _ in range(5):
        metrics.count("lost_total")
        metrics.flush()
    waiting.taken.clear()
    metrics.flush()
    assert [(metric.name, metric.value) for metric in waiting.taken] == [("lost_total", 5.0)]
