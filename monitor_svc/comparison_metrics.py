"""Metrics of the candidates that are asked beside what serves."""

from __future__ import annotations

from monitor_svc.comparing import Compared
from monitor_svc.ports import MetricSink
from monitor_svc.quality import Measure
from monitor_svc.watch import ModelWatch

SHORT = 12
"""Characters of a candidate's digest."""


class ComparisonMetrics:
    """Says again only what rests on something new."""

    def __init__(self, metrics: MetricSink) -> None:
        self._metrics = metrics
        self._told: dict[str, dict[str, tuple[int, int]]] = {}

    def tell(self, watch: ModelWatch) -> None:
        """What was compared of one model since the last time."""
        model, known = watch.model.name, watch.comparisons.by_candidate
        before = self._told.get(model, {})
        now = {digest: (found.rows, found.candidate.n) for digest, found in known.items()}
        self._told[model] = now
        for digest in [digest for digest, seen in now.items() if before.get(digest) != seen]:
            self._compared(model, digest[:SHORT], known[digest])

    def _compared(
        self,
        model: str,
        candidate: str,
        found: Compared,
    ) -> None:
        self._metrics.gauge(
            "monitor_shadow_difference",
            found.difference,
            "1",
            model=model,
            candidate=candidate,
        )
        if found.other_side is not None:
            self._metrics.gauge(
                "monitor_shadow_other_side",
                found.other_side,
                "1",
                model=model,
                candidate=candidate,
            )
        self._quality(model, candidate, "candidate", found.candidate)
        self._quality(model, candidate, "served", found.served)

    def _quality(
        self,
        model: str,
        candidate: str,
        of: str,
        measured: Measure,
    ) -> None:
        scores = measured.scores()
        labels = {"model": model, "candidate": candidate, "of": of}
        if (area := scores.get("auc")) is not None:
            self._metrics.gauge("monitor_shadow_auc", area, "1", **labels)
        if (loss := scores.get("log_loss")) is not None:
            self._metrics.gauge("monitor_shadow_log_loss", loss, "nat", **labels)
        if (rmse := scores.get("rmse")) is not None:
            self._metrics.gauge("monitor_shadow_rmse", rmse, "", **labels)
        if (mae := scores.get("mae")) is not None:
            self._metrics.gauge("monitor_shadow_mae", mae, "", **labels)
