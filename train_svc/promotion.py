"""Which trained model may answer: the definition's `good_enough`, and not worse than the one that
answers now.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from twinstream.define import METRICS


class Verdict(msgspec.Struct, frozen=True):
    """Whether a model is promoted, and why (not)."""

    promoted: bool
    reason: str


def judge(
    metrics: Mapping[str, float],
    good_enough: Mapping[str, float],
    champion: Mapping[str, float] | None,
    measure: str,
    tolerance: float,
) -> Verdict:
    """Judges by test metrics.

    `champion`: metrics of the promoted model on the same test rows, None when there is none that
    can be compared. `measure`: the metric by which both are compared.
    """
    for name, bound in good_enough.items():
        value = metrics.get(name)
        if value is None or not meets(name, value, bound):
            found = "was not measured" if value is None else f"is {value:.4f}"
            return Verdict(
                promoted=False, reason=f"{name} {found}, good enough is {at(name)} {bound:g}"
            )
    if champion is None:
        return Verdict(promoted=True, reason="good enough, and no promoted model to compare with")
    if measure not in metrics:
        return Verdict(promoted=False, reason=f"{measure} was not measured")
    ours, theirs = metrics[measure], champion[measure]
    if no_worse(measure, ours, theirs, tolerance):
        return Verdict(
            promoted=True,
            reason=(
                f"{measure} {ours:.4f} on the same test rows, the promoted model has {theirs:.4f}"
            ),
        )
    return Verdict(
        promoted=False,
        reason=(
            f"{measure} is {ours:.4f}, the promoted model has {theirs:.4f} on the same test rows"
        ),
    )


def meets(name: str, value: float, bound: float) -> bool:
    """Whether a metric is on the better side of a bound; NaN never is."""
    return value >= bound if METRICS[name] == "max" else value <= bound


def no_worse(name: str, ours: float, theirs: float, tolerance: float) -> bool:
    """Whether ours is better, equal, or worse by at most a share of theirs."""
    return meets(
        name,
        ours,
        theirs - tolerance * abs(theirs)
        if METRICS[name] == "max"
        else theirs + tolerance * abs(theirs),
    )


def at(name: str) -> str:
    """How a bound reads."""
    return "at least" if METRICS[name] == "max" else "at most"
