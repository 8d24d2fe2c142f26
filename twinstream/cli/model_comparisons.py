"""What the monitor has found of candidates that are asked beside what serves."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterable, Mapping
from typing import Any

from twinstream.cli import ask
from twinstream.cli.model_book import SHORT
from twinstream.cli.model_changes import Desk
from twinstream.cli.show import note, out, shown, table
from twinstream.errors import MeshError

COLUMNS = ("candidate", "rows", "apart", "other side", "labelled", "log loss", "of what served")
WAIT_S = 10.0
Line = Mapping[str, Any]


def compared(desk: Desk) -> list[Line]:
    """A line of each candidate; none while no monitor answers, which is told."""
    address = desk.mesh.addresses["monitor"]
    request = urllib.request.Request(f"{address}/v1/state")  # noqa: S310
    try:
        models = ask.answer_to(request, WAIT_S)["models"]
        found: list[Line] = next(m["shadows"] for m in models if m["name"] == desk.book.model)
    except (MeshError, LookupError, TypeError, StopIteration) as error:
        note(shown(f"what the monitor measures is not shown: {error}"))
        return []
    return found


def print_compared(lines: Iterable[Line]) -> None:
    """Candidates beside what served, on the same rows."""
    out.print(table(COLUMNS, map(_cells, lines)))


def _cells(line: Line) -> tuple[object, ...]:
    quality = line["quality"]
    return (
        shown(line["candidate"][:SHORT]),
        line["rows"],
        _number(line["difference"]),
        _number(line["other_side"]),
        line["labelled"],
        _number(quality["candidate"]["log_loss"]),
        _number(quality["served"]["log_loss"]),
    )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
