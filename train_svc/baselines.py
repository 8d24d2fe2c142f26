"""What simpler models answer for a network's test rows; one that fails costs no training."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Self

import msgspec
import numpy as np
import structlog

from train_svc.ports import Baseline, FittedBaseline, Problem
from train_svc.rows import Split, thinned
from train_svc.settings import TrainSettings
from twinstream.features.inputs import Inputs
from twinstream.protocol.model_metrics import BASELINES, LEFT_OUT

MOST_CELLS = 50_000_000
"""Rows times inputs that a baseline is fitted on."""
OF_A_SEQUENCE = 3
"""Inputs of a baseline that are made of one sequence."""
LONGEST_REASON = 500
log = structlog.get_logger()


class Baselines(msgspec.Struct, frozen=True):
    """By the prefix of their metrics: what they answer for the test rows, float64[n]; what else is
    told of them; and why one was left out.
    """

    answers: dict[str, Any] = {}
    facts: dict[str, float] = {}
    reasons: dict[str, str] = {}

    @classmethod
    def of(cls, found: Mapping[str, FittedBaseline | str]) -> Self:
        """From what each gave, or why it gave nothing."""
        fitted = {p: one for p, one in found.items() if isinstance(one, FittedBaseline)}
        reasons = {p: why for p, why in found.items() if isinstance(why, str)}
        facts = {p + name: fact for p, one in fitted.items() for name, fact in one.facts.items()}
        answers = {p: one.answers for p, one in fitted.items()}
        return cls(answers, facts | {p + LEFT_OUT: 1.0 for p in reasons}, reasons)


def fit_baselines(
    problem: Problem,
    baselines: Mapping[str, Baseline],
    settings: TrainSettings,
) -> Baselines:
    """All of them, on the network's own rows or, of many, on a random part."""
    if settings.baseline_rows == 0:
        return Baselines()
    smaller = bounded_problem(problem, settings.baseline_rows)
    found = {prefix: _fitted(prefix, one, smaller) for prefix, one in baselines.items()}
    return Baselines.of(found)


def bounded_problem(
    problem: Problem,
    most_rows: int,
) -> Problem:
    """On so many training rows at most, fewer of many inputs, and on as great a share of the
    validation rows; with all test rows.
    """
    split = problem.split
    rows = min(most_rows, max(1, MOST_CELLS // _columns(problem.inputs)))
    some = thinned(split, min(1.0, rows / len(split.train)), problem.config.seed)
    return msgspec.structs.replace(problem, split=Split(some.train, some.validation, split.test))


def _columns(inputs: Inputs) -> int:
    plain = len(inputs.numeric) + len(inputs.categorical)
    return max(1, plain + OF_A_SEQUENCE * len(inputs.sequences))


def _fitted(
    prefix: str,
    baseline: Baseline,
    problem: Problem,
) -> FittedBaseline | str:
    """What it answers, or why it does not."""
    started = time.monotonic()
    try:
        found = _finite(baseline.compare(problem))
    except Exception as error:  # noqa: BLE001  (a figure to compare with is missing, no more)
        reason = f"{type(error).__name__}: {error}"[:LONGEST_REASON]
        log.warning("baseline_left_out", baseline=prefix, reason=reason)
        return reason
    seconds = round(time.monotonic() - started, 2)
    log.info("baseline_fitted", baseline=prefix, seconds=seconds, **found.facts)
    return found


def _finite(found: FittedBaseline) -> FittedBaseline:
    if not np.isfinite(found.answers).all():
        raise ValueError("an answer is not finite")
    return found


def left_out_words(
    metrics: Mapping[str, float],
) -> str:
    """Which baselines of a model failed, in words; "" when none did."""
    gone = [words for prefix, words in BASELINES.items() if prefix + LEFT_OUT in metrics]
    if not gone:
        return ""
    return f"; without {' and '.join(gone)} to compare with: its config.json says why"
