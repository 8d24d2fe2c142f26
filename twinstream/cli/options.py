"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[Path, typer.Option("--data", envvar="TWINSTREAM_DATA", help="Folder of the mesh's data.", file_okay=False)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
Timeout = Annotated[float, typer.Option("--timeout", min=0, metavar="SECONDS", help="How long to wait; then exit with 4.")]
DEFAULT_DATA = Path(".twinstream/data")
