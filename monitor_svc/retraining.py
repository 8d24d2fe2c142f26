"""When to ask for training again, and why. Pure; the rule is in `reason_to_retrain`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from monitor_svc.quality import Floats, auc, auc_error, log_losses

ONE_SIDED_95 = 1.645
SHARE_OF_SERIES = 1 / 3


def reason_to_retrain(
    scores: Floats,
    labels: Floats,
    good_enough: Mapping[str, float],
    min_labelled: int,
    *,
    lasting: Sequence[str],
    series: int,
) -> str | None:
    """Why to train again, None when there is no need.

    Quality: with at least `min_labelled` labelled predictions, even the better end of its one-sided
    95 % confidence interval misses a bound of `good_enough`. Drift:
    it lasts in the score, in the log loss, or in a third of all `series`.
    """
    if len(scores) >= min_labelled:
        for metric, bound in good_enough.items():
            problem = _falls_short(metric, bound, scores, labels)
            if problem:
                return f"quality: {problem} over the latest {len(scores)} labelled predictions"
    return _drifted(lasting, series)


def _drifted(lasting: Sequence[str], series: int) -> str | None:
    many = lasting and len(lasting) >= series * SHARE_OF_SERIES
    if not many and not set(lasting) & {"score", "log_loss"}:
        return None
    more = f" and {len(lasting) - 5} more" if len(lasting) > 5 else ""
    return f"drift: lasts in {', '.join(lasting[:5])}{more}"


def _falls_short(
    metric: str,
    bound: float,
    scores: Floats,
    labels: Floats,
) -> str | None:
    if metric == "auc":
        return _small_area(bound, scores, labels)
    return _great_loss(bound, scores, labels) if metric == "log_loss" else None


def _small_area(
    bound: float,
    scores: Floats,
    labels: Floats,
) -> str | None:
    area, positives = auc(scores, labels), int((labels > 0.5).sum())
    if area is None:
        return None
    error = auc_error(area, positives, len(labels) - positives)
    return f"AUC {area:.3f} is below {bound:g}" if area + ONE_SIDED_95 * error < bound else None


def _great_loss(
    bound: float,
    scores: Floats,
    labels: Floats,
) -> str | None:
    losses = log_losses(scores, labels)
    mean, error = float(losses.mean()), float(np.std(losses)) / math.sqrt(len(losses))
    return (
        f"log loss {mean:.3f} is above {bound:g}" if mean - ONE_SIDED_95 * error > bound else None
    )


class Debounce:
    """At most one request per model and `quiet_us`, and none twice for the same model from the same
    training set.
    """

    def __init__(self, quiet_us: int) -> None:
        self._quiet_us = quiet_us
        self._asked_us: dict[str, int] = {}
        self._asked_for: dict[str, tuple[str, str]] = {}

    def allows(
        self,
        model: str,
        model_digest: str,
        training_set: str,
        now_us: int,
    ) -> bool:
        quiet = now_us - self._asked_us.get(model, -self._quiet_us) < self._quiet_us
        return not quiet and self._asked_for.get(model) != (model_digest, training_set)

    def asked(
        self,
        model: str,
        at_us: int,
        model_digest: str = "",
        training_set: str = "",
    ) -> None:
        """A request was made at this time."""
        self._asked_us[model] = max(at_us, self._asked_us.get(model, at_us))
        self._asked_for[model] = (model_digest, training_set)
