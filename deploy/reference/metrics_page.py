"""docs/reference/metrics.md: every run-time metric."""

from __future__ import annotations

from deploy.reference.markdown import code, page, sentence, table
from twinstream.mesh.metric_catalogue import BY_PROCESS, Described

HEAD = ("metric", "kind", "unit", "labels", "what")
INTRODUCTION = """
Every process sends its metrics once a second as `MetricObserved` to the topic
`mesh.metric-observed.v1` ([events](events.md)); `twinstream watch` and the
[dashboard](../monitoring.md) show them, and anything else may read the topic.

- A **counter** carries what was added since the last message: add them up.
- A **gauge** carries its last value.
- A **summary** carries the count of what was observed, and `quantiles` p50, p99 and max.

A label in parentheses is there for some series only. One that is not in use sends nothing.
"""


def written() -> str:
    """The page."""
    parts = [
        part
        for process, described in BY_PROCESS.items()
        for part in (f"## Of {process}", table(HEAD, map(_row, described)))
    ]
    return page("Metrics", INTRODUCTION, *parts)


def _row(metric: Described) -> tuple[str, ...]:
    labels = [*map(code, metric.labels), *(f"({code(label)})" for label in metric.may)]
    return (
        code(metric.name),
        metric.kind,
        metric.unit,
        ", ".join(labels),
        sentence(metric.what),
    )
