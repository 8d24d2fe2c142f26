"""Search spaces of a model's settings, declared without an engine."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from twinstream.define.location import did_you_mean, refuse, shown
from twinstream.define.network import Network
from twinstream.define.plain import Plain, number, plain
from twinstream.protocol import spans
from twinstream.protocol.training_settings import TABULAR, TRAINING, Bound

_TABULAR = {"twinstream.nn.tabular.TabularNetwork", "twinstream.nn.TabularNetwork"}
_GREATEST = 2**62
METRICS = {
    "auc": "max",
    "accuracy": "max",
    "log_loss": "min",
    "brier": "min",
    "ece": "min",
    "rmse": "min",
    "mae": "min",
}
"""What `good_enough` may bound, and whether more or less of it is better."""
LOSSES = ("binary_cross_entropy", "mean_squared_error", "mean_absolute_error")


@dataclass(frozen=True)
class Choice:
    """One of a few values."""

    options: tuple[Plain, ...]

    def canonical(self) -> list[Any]:
        return ["choice", *self.options]


@dataclass(frozen=True)
class Range:
    """A number from `low` to `high`, both included; `kind` is uniform, log_uniform or
    int_uniform.
    """

    kind: str
    low: float
    high: float

    def canonical(self) -> list[Any]:
        return [self.kind, self.low, self.high]


Space = Choice | Range


def choice(*options: Plain) -> Choice:
    found = tuple(plain(option, "choice(...)") for option in options)
    if not found or not all(
        isinstance(o, (bool, float, str)) or (isinstance(o, int) and abs(o) <= _GREATEST)
        for o in found
    ):
        refuse(
            f"choice{shown(options)} offers no plain values",
            "give numbers or strings, as in choice(64, 128, 256)",
        )
    return Choice(found)


def uniform(low: float, high: float) -> Range:
    return _range("uniform", low, high)


def log_uniform(low: float, high: float) -> Range:
    """Uniform in the logarithm, for learning rates and other scales."""
    found = _range("log_uniform", low, high)
    if found.low <= 0:
        refuse(f"log_uniform({low}, {high}) starts at {low}", "the lower bound must be above 0")
    return found


def int_uniform(low: int, high: int) -> Range:
    """A whole number, both ends included."""
    low, high = plain(low, "int_uniform(...)"), plain(high, "int_uniform(...)")
    if not isinstance(low, int) or not isinstance(high, int):
        refuse(f"int_uniform({shown(low)}, {shown(high)}) is for whole numbers", "use uniform")
    return _range("int_uniform", low, high)


def check_search(search: Mapping[Any, Any], network: Network) -> dict[str, Space | Plain]:
    """A search space by setting; a plain value is fixed.

    Names and values must be those of training or of the network.
    """
    arguments = _arguments(network)
    return {name: _checked_space(name, space, arguments) for name, space in search.items()}


def check_budget(budget: Any, search: Mapping[str, Space | Plain]) -> str | None:
    """A budget as a span of time, for a model that is searched."""
    if budget is None:
        return None
    if not spans.span_us(budget):
        refuse(
            f"search_budget is {shown(budget)}", "give a span of time such as '90s', '10m' or '2h'"
        )
    if not any(isinstance(space, (Choice, Range)) for space in search.values()):
        refuse("search_budget bounds a search, and search= leaves nothing to choose", "drop it")
    return str(budget)


def budget_seconds(budget: str | None) -> float | None:
    """Of a checked budget."""
    span_us = spans.span_us(budget)
    return None if span_us is None else span_us / spans.SECOND_US


def check_good_enough(bounds: Mapping[Any, Any]) -> dict[str, float]:
    """Bounds by metric."""
    for name in bounds:
        if not isinstance(name, str) or name not in METRICS:
            refuse(
                f"good_enough bounds {shown(name)}, which is not measured",
                did_you_mean(name, METRICS),
            )
    return {name: number(bound, f"good_enough[{name!r}]") for name, bound in bounds.items()}


def _range(kind: str, low: Any, high: Any) -> Range:
    low, high = plain(low, f"{kind}(...)"), plain(high, f"{kind}(...)")
    if (
        not all(
            isinstance(v, (int, float)) and not isinstance(v, bool) and abs(v) <= _GREATEST
            for v in (low, high)
        )
        or not low <= high
    ):
        refuse(
            f"{kind}({shown(low)}, {shown(high)}) is not a range",
            "give two numbers, the smaller first",
        )
    return Range(kind, low, high)


def _checked_space(
    name: Any, space: Any, arguments: Mapping[str, Bound | None] | None
) -> Space | Plain:
    what = f"search[{shown(name)}]"
    space = plain(space, what)
    if not isinstance(space, (Choice, Range, bool, int, float, str)):
        refuse(
            f"{what} is {shown(space)}",
            "take choice(...), uniform(low, high), log_uniform(low, high), "
            "int_uniform(low, high) or a value",
        )
    _check_setting(name, what, arguments)
    _check_bound(space, what, TRAINING.get(name) or (arguments or {}).get(name))
    return space


def _check_setting(name: Any, what: str, arguments: Mapping[str, Bound | None] | None) -> None:
    """Refuses what neither training nor the network takes."""
    known = {**TRAINING, **(arguments or {})}
    if not isinstance(name, str) or (arguments is not None and name not in known):
        refuse(
            f"{what} is neither a setting of training nor an argument of the network",
            did_you_mean(name, known),
        )
    if name == "loss":
        refuse("search names the loss", "give it as loss= of the model")


def _check_bound(space: Space | Plain, what: str, bound: Bound | None) -> None:
    for value in _values(space):
        if bound is not None and not bound.takes(value):
            refuse(f"{what} may be {shown(value)}", f"it is {bound}")
        if isinstance(value, int) and abs(value) > _GREATEST:
            refuse(f"{what} is {shown(value)}", "its magnitude is at most 2**62")
    fractions = isinstance(space, Range) and space.kind != "int_uniform"
    if bound is not None and bound.whole and fractions:
        refuse(f"{what} is a range of fractions", f"it is {bound}: use int_uniform")


def _values(space: Space | Plain) -> tuple[Plain, ...]:
    """What must be within the bounds, so that all of the space is."""
    if isinstance(space, Choice):
        return space.options
    return (space.low, space.high) if isinstance(space, Range) else (space,)


def _arguments(network: Network) -> dict[str, Bound | None] | None:
    """Arguments that a search may set, with bounds where they are known;
    None where that takes an import, or the network takes any.
    """
    if network.path in _TABULAR:
        return dict(TABULAR)
    if network.loaded is None:
        return None
    try:
        parameters = list(inspect.signature(network.loaded).parameters.values())
    except (TypeError, ValueError):
        return None
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return None
    return {p.name: None for p in parameters if p.name not in {"inputs", "statistics"}}
