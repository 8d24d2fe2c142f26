"""Options of the commands that deal with dead letters."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Service = Annotated[str, typer.Option(help="Only what this service could not handle.")]
Reason = Annotated[str, typer.Option(help="Only reasons that hold this text.")]
SourceName = Annotated[str, typer.Option("--source", help="Only records and files of this source.")]
Kind = Annotated[str, typer.Option(help="permanent: the input is wrong; bug: a fault of the mesh.")]
OriginText = Annotated[
    str,
    typer.Option("--origin", help="Only what came from a topic or a file whose name holds this."),
]
Since = Annotated[
    str, typer.Option(help="Only from this time on, as 2026-01-31 or 2026-01-31T12:00:00Z.")
]
Until = Annotated[str, typer.Option(help="Only before this time.")]
Ids = Annotated[
    list[str] | None,
    typer.Argument(metavar="[ID]...", help="Ids that list prints, SERVICE/PARTITION/OFFSET."),
]


Limit = Annotated[int, typer.Option(min=1, max=10_000_000, help="So many of the newest.")]
Everything = Annotated[
    bool, typer.Option("--all", help="Also those that were replayed or dropped.")
]
OneId = Annotated[
    str, typer.Argument(metavar="ID", help="As list prints it, SERVICE/PARTITION/OFFSET.")
]
Raw = Annotated[bool, typer.Option("--raw", help="Only the original's bytes, as they came.")]
OutFile = Annotated[
    Path | None,
    typer.Option("--out", help="Write the original's bytes to this file.", dir_okay=False),
]
Corrected = Annotated[
    Path | None,
    typer.Option(
        "--with", help="Bytes to send in place of the original's.", exists=True, dir_okay=False
    ),
]
Edit = Annotated[
    bool, typer.Option("--edit", help="Correct the original in $EDITOR and send that.")
]
Again = Annotated[bool, typer.Option("--again", help="Also what was replayed or dropped before.")]
Why = Annotated[str, typer.Option("--why", help="For those who look at it later.")]
