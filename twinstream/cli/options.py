"""Options that several commands share."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

LONGEST_S = 366 * 86_400.0
"""A longer wait is a typo."""


def finite(value: float) -> float:
    """A number that is neither infinite nor none at all: no range of an option sees these."""
    if not math.isfinite(value):
        raise typer.BadParameter(f"{value} is not a finite number")
    return value


Data = Annotated[
    Path,
    typer.Option(
        "--data", envvar="TWINSTREAM_DATA", help="Folder of the mesh's data.", file_okay=False
    ),
]
OneModel = Annotated[str, typer.Argument(metavar="[MODEL]", help="Only of this model.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
Timeout = Annotated[
    float,
    typer.Option(
        "--timeout",
        min=0,
        max=LONGEST_S,
        callback=finite,
        metavar="SECONDS",
        help="How long to wait; then exit with 4.",
    ),
]
DEFAULT_DATA = Path(".twinstream/data")
