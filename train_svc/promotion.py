"""Which trained model may answer: one that is good enough, has learned something, and is surely
better than the one that answers now.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from train_svc.evidence import PROMOTED, Evidence
from twinstream.define import METRICS
from twinstream.protocol.model_metrics import CONSTANT


class Verdict(msgspec.Struct, frozen=True):
    """Whether a model is promoted, and why (not)."""

    promoted: bool
    reason: str


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """What a model must keep to replace one that answers; `measure` is the metric of its loss."""

    measure: str
    margin: float = 0.0
    """By so much, as a share of the promoted model's loss, it must surely be better."""
    least_rows: int = 0
    """On fewer test rows nothing can be said."""


def judge(
    metrics: Mapping[str, float],
    good_enough: Mapping[str, float],
    evidence: Evidence | None,
    bounds: Bounds,
) -> Verdict:
    """Judges by test metrics, and by `evidence` against the promoted model, or against one answer
    for all rows when that cannot be compared: None when there is no promoted model.
    """
    problem = not_good_enough(metrics, good_enough) or not_learned(metrics, bounds.measure)
    if problem:
        return Verdict(promoted=False, reason=problem)
    if evidence is None:
        return Verdict(promoted=True, reason="good enough, and there is no promoted model")
    return against(evidence, bounds)


def not_good_enough(
    metrics: Mapping[str, float],
    good_enough: Mapping[str, float],
) -> str:
    """The first of the definition's bounds that is not kept; "" when all are."""
    for name, bound in good_enough.items():
        value = metrics.get(name)
        if value is None or not meets(name, value, bound):
            found = "was not measured" if value is None else f"is {value:.4f}"
            return f"{name} {found}, good enough is {at(name)} {bound:g}"
    return ""


def not_learned(
    metrics: Mapping[str, float],
    measure: str,
) -> str:
    """Whether the same answer for every row would have been as good; "" when it would not."""
    for name in (measure, CONSTANT + measure):
        if name not in metrics:
            return f"{name} was not measured"
    ours, constant = metrics[measure], metrics[CONSTANT + measure]
    if ours < constant:
        return ""
    return (
        f"{measure} is {ours:.4f}, and {constant:.4f} for who answers every row with the middle of "
        "the training labels: nothing was learned"
    )


def against(
    evidence: Evidence,
    bounds: Bounds,
) -> Verdict:
    """The verdict on a model beside another."""
    seen = (
        f"mean loss {evidence.ours:.5g} on {evidence.rows} test rows, {evidence.other} has "
        f"{evidence.theirs:.5g}: with 95 % confidence the gain is at least {evidence.gain:.3g}"
    )
    if evidence.rows < bounds.least_rows:
        why = f"{seen}; fewer than {bounds.least_rows} rows are no evidence"
        return Verdict(promoted=False, reason=why)
    margin = bounds.margin if evidence.other == PROMOTED else 0.0
    needed = margin * abs(evidence.theirs)
    if evidence.gain > needed:
        return Verdict(promoted=True, reason=seen)
    return Verdict(promoted=False, reason=f"{seen}, and more than {needed:.3g} is asked for")


def meets(
    name: str,
    value: float,
    bound: float,
) -> bool:
    """Whether a metric is on the better side of a bound; NaN never is."""
    return value >= bound if METRICS[name] == "max" else value <= bound


def at(name: str) -> str:
    """How a bound reads."""
    return "at least" if METRICS[name] == "max" else "at most"
