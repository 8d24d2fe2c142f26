"""When to ask for training again, and why. Pure; the rule is in `reason_to_retrain`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from monitor_svc.drift import ABSOLUTE_ERROR, LOG_LOSS
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
    it lasts in the score, in the loss, or in a third of all `series`.
    """
    if len(scores) >= min_labelled:
        for metric, bound in good_enough.items():
            problem = _falls_short(metric, bound, scores, labels)
            if problem:
                return f"quality: {problem} over the latest {len(scores)} labelled predictions"
    return _drifted(lasting, series)


def _drifted(lasting: Sequence[str], series: int) -> str | None:
    many = lasting and len(lasting) >= series * SHARE_OF_SERIES
    if not many and not set(lasting) & {"score", LOG_LOSS, ABSOLUTE_ERROR}:
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
    if metric == "log_loss":
        return _great_mean("log loss", bound, log_losses(scores, labels))
    if metric == "rmse":
        return _great_square(bound, np.square(scores - labels))
    return _great_mean("MAE", bound, np.abs(scores - labels)) if metric == "mae" else None


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


def _great_mean(
    what: str,
    bound: float,
    losses: Floats,
) -> str | None:
    mean = float(losses.mean())
    return f"{what} {mean:.4g} is above {bound:g}" if _least_mean(losses) > bound else None


def _great_square(
    bound: float,
    squares: Floats,
) -> str | None:
    rmse = math.sqrt(float(squares.mean()))
    too_great = _least_mean(squares) > bound**2
    return f"RMSE {rmse:.4g} is above {bound:g}" if too_great else None


def _least_mean(losses: Floats) -> float:
    """The lower end of the one-sided 95 % confidence interval of the mean."""
    return float(losses.mean()) - ONE_SIDED_95 * float(np.std(losses)) / math.sqrt(len(losses))


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
