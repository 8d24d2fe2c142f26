"""`watch` and `topics`: what passes through a mesh."""

from __future__ import annotations

import errno
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.live import Live
from rich.table import Table

from schemas.events import MetricObserved
from schemas.topics import CONTROL_TOPICS, Topic, all_topics, topic_of
from twinstream.cli import running
from twinstream.cli.ending import output_is_gone
from twinstream.cli.options import DEFAULT_DATA, LONGEST_S, Data, Json, finite
from twinstream.cli.show import as_json, out, table
from twinstream.errors import MeshError, NotRunningError, UndecodableEventError
from twinstream.mesh.events import EventReader

FADE_S = 30.0
DAY_MS = 86_400_000


QUANTILES = ("p50", "p99", "max")
METRIC_COLUMNS = ("service", "metric", "labels", "value", "unit", *QUANTILES)
TOPIC_COLUMNS = ("topic", "writer", "public", "partitions", "kept", "what")
Latest = dict[tuple[str, str, str], tuple[float, MetricObserved]]
"""When a metric was seen, and what it was, by service, name and labels."""
Seconds = Annotated[
    float,
    typer.Option(min=0, max=LONGEST_S, callback=finite, help="End after so long; 0: until Ctrl-C."),
]
MetricName = Annotated[str, typer.Option("--name", help="Only metrics whose name holds this.")]


def watch(
    data: Data = DEFAULT_DATA,
    seconds: Seconds = 0.0,
    name: MetricName = "",
    json: Json = False,  # noqa: FBT002
) -> None:
    """Show the mesh's metrics as they come; with --json, or into a pipe, one metric a line."""
    mesh = running.mesh(data)
    until = time.monotonic() + seconds if seconds else float("inf")
    with EventReader(mesh.settings, [topic_of(MetricObserved)], from_beginning=False) as reader:
        if json:
            _print_each(reader, name, until, as_json)
        elif out.is_terminal:
            _show_live(reader, name, until)
        else:
            _print_each(reader, name, until, _print_line)


def _next(reader: EventReader, name: str) -> MetricObserved | None:
    try:
        found = reader.poll(0.25)
    except UndecodableEventError:
        return None
    metric = found[0] if found else None
    return metric if isinstance(metric, MetricObserved) and name in metric.name else None


def _print_each(
    reader: EventReader,
    name: str,
    until: float,
    show: Callable[[MetricObserved], None],
) -> None:
    while time.monotonic() < until:
        if output_is_gone():
            raise BrokenPipeError(errno.EPIPE, "nobody reads the metrics any more")
        metric = _next(reader, name)
        if metric is not None:
            show(metric)


def _print_line(metric: MetricObserved) -> None:
    value = f"{metric.value:.6g} {metric.unit}"
    sys.stdout.write(f"{metric.service} {metric.name} {_labels(metric)} {value}\n")
    sys.stdout.flush()


def _show_live(
    reader: EventReader,
    name: str,
    until: float,
) -> None:
    latest: Latest = {}
    with Live(refresh_per_second=4, console=out) as live:
        while time.monotonic() < until:
            metric = _next(reader, name)
            if metric is not None:
                names = metric.service, metric.name, _labels(metric)
                latest[names] = (time.monotonic(), metric)
            live.update(_metrics_table(latest))


def _labels(metric: MetricObserved) -> str:
    return " ".join(f"{key}={value}" for key, value in sorted(metric.labels.items()))


def _metrics_table(latest: Latest) -> Table:
    now = time.monotonic()
    rows = [
        (*names, *_value_cells(metric))
        for names, (seen, metric) in sorted(latest.items())
        if now - seen < FADE_S
    ]
    return table(METRIC_COLUMNS, rows)


def _value_cells(m: MetricObserved) -> tuple[str, ...]:
    value = f"{m.value:,.6g}" + ("/s" if m.kind == "counter" else "")
    quantiles = (f"{m.quantiles[q]:,.4g}" if q in m.quantiles else "" for q in QUANTILES)
    return value, m.unit, *quantiles


def topics(data: Data = DEFAULT_DATA, json: Json = False) -> None:  # noqa: FBT002
    """List the topics: who writes each, what is in it, how long it is kept.

    With a running mesh, those of its definition too.
    """
    found = _topics_of(data)
    if json:
        as_json(list(found))
        return
    out.print(table(TOPIC_COLUMNS, map(_topic_cells, found)))


def _topics_of(data: Path) -> Sequence[Topic]:
    try:
        mesh = running.mesh(data)
        pipeline = mesh.pipeline()
    except (NotRunningError, MeshError):
        return CONTROL_TOPICS
    return all_topics(
        [s.name for s in pipeline.sources],
        [v.name for v in pipeline.views],
        [m.name for m in pipeline.models],
        wall_clock=mesh.settings.clock == "wall",
    )


def _topic_cells(t: Topic) -> tuple[object, ...]:
    return t.name, t.writer, t.public, t.partitions or "data", _kept(t.retention_ms), t.what


def _kept(retention_ms: int) -> str:
    return "for ever" if retention_ms < 0 else f"{retention_ms // DAY_MS} d"
