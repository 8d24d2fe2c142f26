"""Which configurations a search tries, on how many rows, and where it runs:
rules without an engine.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from train_svc.settings import TrainSettings
from twinstream.define import Choice, Range
from twinstream.errors import PermanentError

IN_PROCESS, RAY = "in-process", "ray"
Candidate = dict[str, Any]


class Found(msgspec.Struct, frozen=True):
    """What a search chose, and what it saw: `tried` holds (candidate, validation loss,
    epochs) of each trial, in order.
    """

    best: Candidate
    tried: list[tuple[Candidate, float, int]]
    tuner: str


class NothingFoundError(PermanentError, RuntimeError):
    """No trial of a search gave a finite loss."""


class Space(Protocol):
    """What a definition's `model.search` is."""

    def items(self) -> Any: ...


def candidates(
    space: Mapping[str, Any],
    count: int,
    seed: int,
) -> list[Candidate]:
    """`count` draws from a model's search space, or one when nothing is to be searched;
    the same for the same seed.
    """
    searched = any(isinstance(value, (Choice, Range)) for value in space.values())
    rng = random.Random(seed)
    return [
        {name: draw(value, rng) for name, value in space.items()}
        for _ in range(count if searched else 1)
    ]


def draw(
    space: Any,
    rng: random.Random,
) -> Any:
    """One value of a `choice`, `uniform`, `log_uniform` or `int_uniform`;
    a plain value is itself.
    """
    if isinstance(space, Choice):
        return rng.choice(space.options)
    if not isinstance(space, Range):
        return space
    if space.kind == "int_uniform":
        return rng.randint(int(space.low), int(space.high))
    if space.kind == "log_uniform":
        return math.exp(rng.uniform(math.log(space.low), math.log(space.high)))
    return rng.uniform(space.low, space.high)


def share_of_rows(
    train_rows: int,
    settings: TrainSettings,
) -> float:
    """The share of the training rows (and of the validation rows) that a search looks at."""
    return min(1.0, settings.search_rows / max(train_rows, 1))


def tuner_for(
    train_rows: int,
    count: int,
    settings: TrainSettings,
) -> str:
    """Ray Tune for all but small searches; what is small is stated in the settings."""
    if settings.tuner != "auto":
        return settings.tuner
    small = train_rows <= settings.small_rows or count <= settings.small_candidates
    return IN_PROCESS if small else RAY


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
