"""A search that runs its candidates one after the other in this process, for small jobs: no engine to start."""

from __future__ import annotations

from train_svc.ports import Problem
from train_svc.search import IN_PROCESS, Candidate, Found, best_of
from train_svc.training import fit_split


class InProcessTuner:
    """Trains every candidate for the search's passes; keeps the one with the lowest validation loss."""

    def search(self, problem: Problem, candidates: list[Candidate]) -> Found:
        """Raises NothingFoundError when no candidate gave a finite loss."""
        return best_of([(candidate, *self._try(problem, candidate)) for candidate in candidates], IN_PROCESS)

    def _try(self, problem: Problem, candidate: Candidate) -> tuple[float, int]:
        """Lowest validation loss of one candidate, and its passes."""
        losses: list[float] = []

        def remember(_epoch: int, loss: float) -> bool:
            losses.append(loss)
            return False

        fit_split(
            problem.split, problem.inputs, problem.statistics, problem.config.changed(candidate), network_class=problem.network,
            on_epoch=remember)
        return min(losses), len(losses)
