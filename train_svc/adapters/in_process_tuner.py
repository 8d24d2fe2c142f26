"""A search that tries its candidates one after the other in this process: no engine to start."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import structlog

from train_svc.adapters.optuna_study import OptunaStudy, TriedCandidate
from train_svc.adapters.trial_log import TrialLog
from train_svc.ports import Problem
from train_svc.search import IN_PROCESS, Candidate, Found, Search, best_of
from train_svc.training import OnEpoch, fit_network

log = structlog.get_logger()


class InProcessTuner:
    """`folder`: where it keeps what it has tried, for the case that it is killed."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._clock = clock

    def search(self, problem: Problem, wanted: Search) -> Found:
        """Raises NothingFoundError when no candidate gave a finite loss."""
        study, kept = OptunaStudy(wanted), TrialLog(self._folder, wanted.name)
        for tried in kept.read():
            study.add(tried)
        why, started = "", self._clock()
        while len(study.tried) < wanted.trials and not self._late(study, wanted, started):
            why = self._try_one(problem, study) or why
            kept.add(study.tried[-1])
        kept.clear()
        return best_of([outcome(tried) for tried in study.tried], IN_PROCESS, why)

    def _late(self, study: OptunaStudy, wanted: Search, started: float) -> bool:
        """Whether the time is over; at least one candidate is tried."""
        left = wanted.seconds is None or self._clock() - started < wanted.seconds
        return not left and bool(study.tried)

    def _try_one(self, problem: Problem, study: OptunaStudy) -> str:
        """Why it failed; "" when it did not."""
        trial, candidate = study.ask()
        losses: list[float] = []

        def remember(epoch: int, loss: float) -> bool:
            losses.append(loss)
            return study.behind(trial, epoch, loss)

        why = ""
        try:
            _fit(problem, candidate, remember)
        except Exception as error:  # noqa: BLE001  (a candidate that fails is one that diverged)
            why = f"{type(error).__name__}: {error}"
            log.warning("trial_failed", candidate=candidate, reason=why)
            losses = []
        study.tell(trial, TriedCandidate(candidate, losses))
        return why


def outcome(tried: TriedCandidate) -> tuple[Candidate, float, int]:
    """Candidate, lowest loss and passes."""
    return tried.candidate, tried.lowest, len(tried.losses)


def _fit(problem: Problem, candidate: Candidate, on_epoch: OnEpoch) -> None:
    fit_network(
        problem.split,
        problem.inputs,
        problem.statistics,
        problem.config.changed(candidate),
        network_class=problem.network,
        on_epoch=on_epoch,
    )
