"""A model's metrics for people: its quality beside that of simpler models, then the rest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from twinstream.cli.show import out, shown, table
from twinstream.protocol.model_metrics import BASELINES, HIGH, LOW

Metrics = Mapping[str, float]
COLUMNS = ("metric", "model", *BASELINES.values())


def print_metrics(metrics: Metrics) -> None:
    """Two tables."""
    named = measured_beside(metrics)
    if named:
        out.print(table(COLUMNS, quality_rows(metrics, named)))
    out.print(table(("metric", ""), rest_of(metrics, named)))


def measured_beside(metrics: Metrics) -> list[str]:
    """Names of what was measured of the model and of something simpler."""
    return [n for n in sorted(metrics) if any(prefix + n in metrics for prefix in BASELINES)]


def quality_rows(
    metrics: Metrics,
    named: Iterable[str],
) -> list[list[str]]:
    """A row for each name: of the model, and of each of the others."""
    return [
        [shown(name), *(_cell(metrics, each + name) for each in ("", *BASELINES))] for name in named
    ]


def rest_of(
    metrics: Metrics,
    named: Iterable[str],
) -> list[list[str]]:
    """A row for each metric that has no place beside others."""
    gone = {prefix + name for name in named for prefix in ("", *BASELINES)}
    left = sorted(metrics.keys() - gone - ends_in(metrics))
    return [[shown(name), _cell(metrics, name)] for name in left]


def ends_in(metrics: Metrics) -> set[str]:
    """Names of the ends of intervals."""
    return {name + end for name in metrics for end in (LOW, HIGH) if name + end in metrics}


def _cell(
    metrics: Metrics,
    name: str,
) -> str:
    """A metric and its interval, as far as it has them."""
    if name not in metrics:
        return ""
    value = f"{metrics[name]:.6g}"
    low, high = metrics.get(name + LOW), metrics.get(name + HIGH)
    return value if low is None or high is None else f"{value} ({low:.4g} to {high:.4g})"
