"""A search that runs its candidates one after the other in this process, for small jobs:
no engine to start.
"""

from __future__ import annotations

import math

import structlog

from train_svc.ports import Problem
from train_svc.search import IN_PROCESS, Candidate, Found, best_of
from train_svc.training import fit_network

log = structlog.get_logger()
Trial = tuple[Candidate, float, int]


class InProcessTuner:
    """Trains every candidate for the search's passes; keeps the one with the lowest validation
    loss.
    """

    def search(self, problem: Problem, candidates: list[Candidate]) -> Found:
        """Raises NothingFoundError when no candidate gave a finite loss."""
        tried: list[Trial] = []
        why = ""
        for candidate in candidates:
            losses: list[float] = []
            try:
                _fit(problem, candidate, losses)
            except Exception as error:  # noqa: BLE001
                # a candidate that fails is one that diverged
                why = f"{type(error).__name__}: {error}"
                log.warning("trial_failed", candidate=candidate, reason=why)
                losses = []
            tried.append((candidate, lowest(losses), len(losses)))
        return best_of(tried, IN_PROCESS, why)


def lowest(losses: list[float]) -> float:
    """The lowest finite loss, NaN when there is none."""
    return min(filter(math.isfinite, losses), default=math.nan)


def _fit(problem: Problem, candidate: Candidate, losses: list[float]) -> None:
    """One candidate; its validation losses come to `losses`, one a pass."""

    def remember(_epoch: int, loss: float) -> bool:
        losses.append(loss)
        return False

    fit_network(
        problem.split,
        problem.inputs,
        problem.statistics,
        problem.config.changed(candidate),
        network_class=problem.network,
        on_epoch=remember,
    )
