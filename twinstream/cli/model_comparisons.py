"""What the monitor has found of candidates that are asked beside what serves."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from twinstream.cli import ask
from twinstream.cli.model_book import SHORT
from twinstream.cli.model_changes import Desk
from twinstream.cli.show import note, out, shown, table
from twinstream.errors import MeshError

COLUMNS = ("candidate", "rows", "apart", "other side", "labelled", "loss", "of what served")
ANSWERED = ("answered", "labelled", "AUC", "log loss", "RMSE", "MAE")
MEASURES = ("auc", "log_loss", "rmse", "mae")
WAIT_S = 10.0
Line = Mapping[str, Any]


class Measured(NamedTuple):
    """A line of each candidate beside what served, and of each model that answered."""

    compared: list[Line]
    answered: list[Line]

    def compared_with(self, digest: str) -> list[Line]:
        """Of one candidate."""
        return [one for one in self.compared if one["candidate"] == digest]

    def answered_by(self, digest: str) -> list[Line]:
        """Of one model."""
        return [one for one in self.answered if one["digest"] == digest]


def as_monitored(desk: Desk) -> Measured:
    """As the monitor says; nothing while none answers, which is told."""
    address = desk.mesh.addresses["monitor"]
    request = urllib.request.Request(f"{address}/v1/state")  # noqa: S310
    try:
        models = ask.answer_to(request, WAIT_S)["models"]
        own = next(m for m in models if m["name"] == desk.book.model)
        return Measured(own["shadows"], own["by_digest"])
    except (MeshError, LookupError, TypeError, StopIteration) as error:
        note(shown(f"what the monitor measures is not shown: {error}"))
        return Measured([], [])


def print_compared(lines: Iterable[Line]) -> None:
    """Candidates beside what served, on the same rows."""
    out.print(table(COLUMNS, map(_cells, lines)))


def print_answered(lines: Iterable[Line]) -> None:
    """Models that answered, each with the quality of its own answers."""
    out.print(table(ANSWERED, map(_answered_cells, lines)))


def _answered_cells(line: Line) -> tuple[object, ...]:
    measured = [_number(line.get(name)) for name in MEASURES]
    return (shown(line["digest"][:SHORT]), line["labelled"], *measured)


def _cells(line: Line) -> tuple[object, ...]:
    quality = line["quality"]
    return (
        shown(line["candidate"][:SHORT]),
        line["rows"],
        _number(line["difference"]),
        _number(line["other_side"]),
        line["labelled"],
        _loss(quality["candidate"]),
        _loss(quality["served"]),
    )


def _loss(scores: Line) -> str:
    """Log loss of probabilities, RMSE of numbers."""
    return _number(scores.get("log_loss", scores.get("rmse")))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
