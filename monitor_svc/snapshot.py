"""The state as the page and `/v1/state` show it: plain data, every part with the time it is of."""

from __future__ import annotations

from typing import Any

import msgspec

from monitor_svc.quality import Measure, Point
from monitor_svc.state import State
from monitor_svc.telemetry import Latest
from monitor_svc.watch import ModelWatch


def whole(
    state: State,
    beats: list[dict[str, Any]],
    now_us: int,
) -> dict[str, Any]:
    """Everything, with the history of every charted line."""
    return {**moment(state, beats, now_us), "history": state.telemetry.history()}


def moment(
    state: State,
    beats: list[dict[str, Any]],
    now_us: int,
) -> dict[str, Any]:
    """Everything but the history."""
    return {
        "at_us": now_us,
        "pipeline": _pipeline(state),
        "known_us": state.known.newest_label_us if state.known.labels_us else None,
        "caught_up": state.caught_up,
        "processes": beats,
        "sources": _sources(state),
        "models": [_model(watch, state) for watch in state.models.values()],
        "metrics_dropped": state.telemetry.dropped,
        "metrics": [_metric(latest) for _, latest in sorted(state.telemetry.latest.items())],
        **state.ledger.lists(),
    }


def _pipeline(state: State) -> dict[str, str]:
    return {
        "name": state.pipeline.name,
        "digest": state.pipeline.digest,
        "clock": state.mesh.clock,
    }


def _sources(state: State) -> list[dict[str, Any]]:
    totals = {
        "logged": state.telemetry.total("logged"),
        "duplicates": _by_ingest(state, "duplicate"),
        "dead_letters": _by_ingest(state, "dead_letters"),
    }
    return [
        {"name": source.name, **{what: of.get(source.name, 0) for what, of in totals.items()}}
        for source in state.pipeline.sources
    ]


def _by_ingest(state: State, what: str) -> dict[str, float]:
    """By source, the sum of the metrics of ingest whose name holds this."""
    return state.telemetry.totals(
        lambda latest: what in latest.name and latest.service.startswith("ingest"), "source"
    )


def _model(watch: ModelWatch, state: State) -> dict[str, Any]:
    promoted = state.ledger.promoted.get(watch.model.name)
    return {
        "name": watch.model.name,
        "release": watch.last_release,
        "model_digest": watch.model_digest,
        "promoted": msgspec.to_builtins(promoted) if promoted else None,
        "good_enough": watch.model.good_enough,
        "binary": watch.model.label.binary,
        **_served(watch),
        **_labelled(watch),
        **_charts(watch, state.known.newest_label_us),
    }


def _served(watch: ModelWatch) -> dict[str, Any]:
    return {
        "last_at_us": watch.last_at_us,
        "last_served_us": watch.last_served_us,
        "last_labelled_us": watch.last_labelled_us,
        "predictions": watch.predicted_total,
    }


def _labelled(watch: ModelWatch) -> dict[str, Any]:
    """How many predictions have an outcome, and why others have none."""
    asked, rows = watch.joiner.kept()
    of_all, binary = watch.quality.all, watch.model.label.binary
    return {
        "labels": watch.quality.counts,
        "labelled": of_all.n,
        "base_rate": of_all.positives / of_all.n if of_all.n and binary else None,
        "prediction_mean": sum(watch.scores) / len(watch.scores) if watch.scores else None,
        "pending": watch.joiner.pending,
        "kept": {"predictions": asked, "labels": rows},
        "given_up": watch.joiner.given_up,
        "unjoinable": watch.unjoinable,
        "unjudged": watch.joiner.unjudged,
        "label_files": watch.label_files.count,
    }


def _charts(watch: ModelWatch, at_us: int) -> dict[str, Any]:
    return {
        "now": msgspec.to_builtins(watch.quality.point(at_us)),
        "points": _columns(watch.quality.points),
        "scores": watch.score_histogram(),
        "calibration": watch.quality.calibration(),
        "releases": _releases(watch),
        "shadows": watch.comparisons.lines(),
        "by_digest": _by_digest(watch),
        "drift": [msgspec.to_builtins(finding) for finding in watch.drift.findings[:60]],
        "drift_seen": watch.drift.reference_share,
    }


def _releases(watch: ModelWatch) -> list[dict[str, Any]]:
    measured = watch.quality.releases
    found = []
    for name, n in reversed(watch.predictions.items()):
        of = measured.get(name)
        found.append({"release": name, "predictions": n, **_measured(of)})
    return found


def _by_digest(watch: ModelWatch) -> list[dict[str, Any]]:
    """Quality of each trained model that answered, whatever share of the keys."""
    return [{"digest": digest, **_measured(of)} for digest, of in watch.quality.models.items()]


def _measured(of: Measure | None) -> dict[str, Any]:
    """How many labels and every score; null where there is none."""
    found = dict.fromkeys(("auc", "log_loss", "rmse", "mae"))
    return {"labelled": of.n if of else 0, **found, **(of.scores() if of else {})}


def _columns(points: list[Point]) -> dict[str, list[float | int | None]]:
    return {name: [getattr(point, name) for point in points] for name in Point.__struct_fields__}


def _metric(latest: Latest) -> dict[str, Any]:
    return {
        "name": latest.name,
        "service": latest.service,
        "labels": latest.labels,
        "kind": latest.kind,
        "unit": latest.unit,
        "value": latest.total if latest.kind == "counter" else latest.value,
        "quantiles": latest.quantiles,
        "at_us": latest.at_us,
    }
