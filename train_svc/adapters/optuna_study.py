"""Candidates by Optuna: each is informed by all that were tried before it, and one that is behind
is stopped early.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.pruners import SuccessiveHalvingPruner
from optuna.samplers import TPESampler
from optuna.trial import Trial, TrialState, create_trial

from train_svc.search import Candidate, Search, fixed
from twinstream.define import Choice, Range

MOST_RANDOM = 10
SEEDS = 1 << 32
optuna.logging.set_verbosity(optuna.logging.WARNING)


class TriedCandidate(msgspec.Struct, frozen=True):
    """A candidate and its validation loss after each pass; of one that failed, none."""

    candidate: Candidate
    losses: list[float]

    @property
    def lowest(self) -> float:
        """The lowest finite loss, NaN when there is none."""
        return min(filter(math.isfinite, self.losses), default=math.nan)


class OptunaStudy:
    """Tree-structured Parzen estimators (Bergstra et al., 2011) over what was tried, with
    successive halving (Li et al., 2020). The same search suggests the same after the same trials.
    """

    def __init__(self, search: Search) -> None:
        self._search = search
        self._distributions = distributions(search.space)
        self._fixed = fixed(search.space)
        pruner = SuccessiveHalvingPruner(min_resource=1, reduction_factor=2)
        self._study = optuna.create_study(direction="minimize", pruner=pruner)
        self.tried: list[TriedCandidate] = []

    def ask(self) -> tuple[Trial, Candidate]:
        """What to try next."""
        number = len(self.tried)
        self._study.sampler = sampler_of(self._search, number)
        if number < len(self._search.first):
            self._study.enqueue_trial(self._searched(self._search.first[number]))
        trial = self._study.ask(self._distributions)
        return trial, self._fixed | trial.params

    def behind(self, trial: Trial, epoch: int, loss: float) -> bool:
        """Whether to stop a trial after a pass that gave this loss."""
        if math.isfinite(loss):
            trial.report(loss, epoch)
        return trial.should_prune()

    def tell(self, trial: Trial, tried: TriedCandidate) -> None:
        """What came of it."""
        failed = math.isnan(tried.lowest)
        state = TrialState.FAIL if failed else TrialState.COMPLETE
        self._study.tell(trial, None if failed else tried.lowest, state=state)
        self.tried.append(tried)

    def add(self, tried: TriedCandidate) -> None:
        """What was tried before this process began."""
        failed = math.isnan(tried.lowest)
        losses = {i: loss for i, loss in enumerate(tried.losses, 1) if math.isfinite(loss)}
        self._study.add_trial(
            create_trial(
                state=TrialState.FAIL if failed else TrialState.COMPLETE,
                value=None if failed else tried.lowest,
                params=self._searched(tried.candidate),
                distributions=self._distributions,
                intermediate_values=losses,
            )
        )
        self.tried.append(tried)

    def _searched(self, candidate: Candidate) -> Candidate:
        return {name: candidate[name] for name in self._distributions}


def sampler_of(
    search: Search,
    number: int,
) -> TPESampler:
    """Of the trial with this number: a third of a small search looks around, the rest where it was
    best.
    """
    random = max(2, min(MOST_RANDOM, search.trials // 3))
    return TPESampler(n_startup_trials=random, seed=(search.seed + number) % SEEDS)


def distributions(space: Mapping[str, Any]) -> dict[str, BaseDistribution]:
    """Of what a definition leaves to choose."""
    searched = {n: v for n, v in space.items() if isinstance(v, (Choice, Range))}
    return {name: _distribution(one) for name, one in searched.items()}


def _distribution(one: Choice | Range) -> BaseDistribution:
    if isinstance(one, Choice):
        return CategoricalDistribution(one.options)
    if one.kind == "int_uniform":
        return IntDistribution(int(one.low), int(one.high))
    return FloatDistribution(one.low, one.high, log=one.kind == "log_uniform")
