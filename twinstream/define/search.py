"""Search spaces of a model's settings, declared without an engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from twinstream.define.location import did_you_mean, refuse

Plain = bool | int | float | str
METRICS = {"auc": "max", "accuracy": "max", "log_loss": "min", "brier": "min", "rmse": "min", "mae": "min"}
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
    """A number from `low` to `high`, both included; `kind` is uniform, log_uniform or int_uniform."""

    kind: str
    low: float
    high: float

    def canonical(self) -> list[Any]:
        return [self.kind, self.low, self.high]


Space = Choice | Range


def choice(*options: Plain) -> Choice:
    if not options or not all(isinstance(o, (bool, int, float, str)) for o in options):
        refuse(f"choice{options!r} offers no plain values", "give numbers or strings, as in choice(64, 128, 256)")
    return Choice(options)


def uniform(low: float, high: float) -> Range:
    return _range("uniform", low, high)


def log_uniform(low: float, high: float) -> Range:
    """Uniform in the logarithm, for learning rates and other scales."""
    if isinstance(low, (int, float)) and low <= 0:
        refuse(f"log_uniform({low}, {high}) starts at {low}", "the lower bound must be above 0")
    return _range("log_uniform", low, high)


def int_uniform(low: int, high: int) -> Range:
    """A whole number, both ends included."""
    if not isinstance(low, int) or not isinstance(high, int):
        refuse(f"int_uniform({low!r}, {high!r}) is for whole numbers", "use uniform")
    return _range("int_uniform", low, high)


def check_search(search: Mapping[str, Any]) -> dict[str, Space | Plain]:
    """A search space by setting; a plain value is fixed."""
    for name, space in search.items():
        if not isinstance(space, (Choice, Range, bool, int, float, str)):
            refuse(f"search[{name!r}] is {space!r}", "take choice(...), uniform(low, high), log_uniform(low, high), int_uniform(low, high) or a value")
    return dict(search)


def check_good_enough(bounds: Mapping[str, float]) -> dict[str, float]:
    """Bounds by metric."""
    for name, bound in bounds.items():
        if name not in METRICS:
            refuse(f"good_enough bounds {name!r}, which is not measured", did_you_mean(name, METRICS))
        if isinstance(bound, bool) or not isinstance(bound, (int, float)):
            refuse(f"good_enough[{name!r}] is {bound!r}", "give a number")
    return {name: float(bound) for name, bound in bounds.items()}


def _range(kind: str, low: Any, high: Any) -> Range:
    if not all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in (low, high)) or not low <= high:
        refuse(f"{kind}({low!r}, {high!r}) is no range", "give two numbers, the smaller first")
    return Range(kind, low, high)
