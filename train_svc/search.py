"""What a search tries, on how many rows, and where it runs: rules without an engine."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import Any

import msgspec

from train_svc.settings import TrainSettings
from twinstream.define import Choice, Range
from twinstream.errors import PermanentError

IN_PROCESS, RAY = "in-process", "ray"
MOST_TRIALS = 10_000
"""Of a search that is bounded by its time."""
LONG_S = 60.0
"""A search that may take longer starts Ray, which takes some ten seconds."""
Candidate = dict[str, Any]
Space = Mapping[str, Any]


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """What is searched: `space` as the definition has it, at most so many `trials`, none begun
    after so many `seconds`, `first` before all others. `name`: the same after a restart.
    """

    space: dict[str, Any]
    trials: int
    seed: int
    seconds: float | None = None
    first: list[Candidate] = []
    name: str = ""

    def bounded(self, seconds: float | None) -> Search:
        """Bounded by time instead of a number of trials, if a time is given."""
        if seconds is None:
            return self
        return msgspec.structs.replace(self, seconds=seconds, trials=MOST_TRIALS)


class Found(msgspec.Struct, frozen=True):
    """What a search chose, and what it saw: `tried` holds (candidate, validation loss,
    epochs) of each trial, in order.
    """

    best: Candidate
    tried: list[tuple[Candidate, float, int]]
    tuner: str


class NothingFoundError(PermanentError, RuntimeError):
    """No trial of a search gave a finite loss."""


def is_searched(space: Space) -> bool:
    """Whether it leaves anything to choose."""
    return any(isinstance(value, (Choice, Range)) for value in space.values())


def fixed(space: Space) -> Candidate:
    """What it leaves no choice about."""
    return {name: v for name, v in space.items() if not isinstance(v, (Choice, Range))}


def inside(space: Space, candidate: Candidate) -> bool:
    """Whether a search of this space could have tried a candidate."""
    return candidate.keys() == space.keys() and all(
        _inside(one, candidate[name]) for name, one in space.items()
    )


def _inside(one: Any, value: Any) -> bool:
    if isinstance(one, Choice):
        return value in one.options
    if not isinstance(one, Range):
        return bool(value == one)
    whole = isinstance(value, int) or one.kind != "int_uniform"
    return isinstance(value, (int, float)) and whole and one.low <= value <= one.high


def seed_of(seed: int, training_set_digest: str) -> int:
    """Another one for each training set, so that each search tries other candidates."""
    digest = hashlib.sha256(f"{seed} {training_set_digest}".encode())
    return int.from_bytes(digest.digest()[:4], "big")


def share_of_rows(
    train_rows: int,
    settings: TrainSettings,
) -> float:
    """The share of the training rows (and of the validation rows) that a search looks at."""
    return min(1.0, settings.search_rows / max(train_rows, 1))


def tuner_for(
    train_rows: int,
    search: Search,
    settings: TrainSettings,
) -> str:
    """Ray Tune for searches that take longer than Ray takes to start."""
    if settings.tuner != "auto":
        return settings.tuner
    if search.seconds is not None:
        return RAY if search.seconds > LONG_S else IN_PROCESS
    looked_at = min(train_rows, settings.search_rows)
    passed = looked_at * settings.search_epochs * search.trials
    return RAY if passed > settings.small_passes else IN_PROCESS


def best_of(
    tried: list[tuple[Candidate, float, int]],
    tuner: str,
    why: str = "",
) -> Found:
    """The candidate with the lowest loss; of equal ones the first.

    Raises NothingFoundError; `why` is what the last trial that failed raised.
    """
    finite = [trial for trial in tried if math.isfinite(trial[1])]
    if not finite:
        found = f"none of {len(tried)} candidates gave a finite loss"
        remedy = why or "narrow the search space, above all learning_rate"
        raise NothingFoundError(f"{found}: {remedy}")
    return Found(min(finite, key=lambda trial: trial[1])[0], tried, tuner)
