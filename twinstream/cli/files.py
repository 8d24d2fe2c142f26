"""`files list | show | withdraw`: the files that were announced, and what became of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from schemas.events import FileAccepted, FileWithdrawn, ViewPublished
from schemas.topics import topic_of
from twinstream.cli import running
from twinstream.cli.dead_letters import SourceName
from twinstream.cli.options import DEFAULT_DATA, Data, Json
from twinstream.cli.show import as_json, note, out, shown, table
from twinstream.errors import MeshError, SettingsError
from twinstream.mesh.clock import WallClock
from twinstream.mesh.dead_letter_reader import Letter, letters
from twinstream.mesh.events import EventPublisher, EventReader, pass_over
from twinstream.mesh.settings import MeshSettings
from twinstream.protocol.file_state import FileState, state_of

app = typer.Typer(
    no_args_is_help=True,
    help="Files that were announced: what became of each, and taking one back.",
)
COLUMNS = ("number", "source", "state", "epoch", "rows", "bytes", "accepted", "uri")
Which = Annotated[
    str, typer.Argument(metavar="NUMBER|URI", help="Its number in the list, or its URI.")
]


@app.command("list")
def list_files(
    source: SourceName = "",
    data: Data = DEFAULT_DATA,
    state: Annotated[
        str, typer.Option(help="Only accepted, withdrawn, folded, left out, or refused.")
    ] = "",
    json: Json = False,  # noqa: FBT002
) -> None:
    """List accepted files in their order, and those that were refused;
    with --json one file a line.
    """
    settings = running.mesh(data).settings
    lines = [
        *(_line(found) for found in states(settings)),
        *(_refused(letter) for letter in _file_letters(settings)),
    ]
    lines = [
        line for line in lines if source in {"", line["source"]} and state in {"", line["state"]}
    ]
    if json:
        for line in lines:
            as_json(line)
    else:
        out.print(table(COLUMNS, [_cells(line) for line in lines]))
    note(f"{len(lines)} file(s)")


@app.command()
def show(file: Which, data: Data = DEFAULT_DATA) -> None:
    """Show one file as JSON, with the dead letters of its rows."""
    settings = running.mesh(data).settings
    found = _one(states(settings), file)
    uri = found.accepted.file.uri
    about = [
        letter
        for letter in letters(settings)
        if uri in {letter.fact("topic"), letter.fact("x_uri")}
    ]
    bad = [
        {"id": str(letter.id), "line": letter.fact("x_line"), "reason": letter.fact("reason")}
        for letter in about[:1000]
    ]
    as_json(
        {
            **_line(found),
            "file": found.accepted.file,
            "format": found.accepted.format,
            "dead_letters": len(about),
            "first": bad,
        }
    )


@app.command()
def withdraw(
    file: Which,
    data: Data = DEFAULT_DATA,
    reason: Annotated[str, typer.Option(help="Why, for those who look at it later.")] = "",
) -> None:
    """Take a file back: the next epoch lands without it. What is folded already stays."""
    settings = running.mesh(data).settings
    found = _one(states(settings), file)
    accepted = found.accepted
    if found.state == "folded":
        raise MeshError(
            f"file {found.number} is folded: epoch {found.epoch} holds it for good, "
            "and no command takes it out"
        )
    if found.state != "accepted":
        note(f"file {found.number} is {found.state} already")
        return
    EventPublisher(settings, "/cli").publish(
        FileWithdrawn(
            source=accepted.source,
            uri=accepted.file.uri,
            version_id=accepted.file.version_id,
            reason=reason,
            withdrawn_at_us=WallClock().now_us(),
        )
    )
    note(f"file {found.number} is withdrawn: {shown(accepted.file.uri)}")


def states(settings: MeshSettings) -> list[FileState]:
    """All accepted files in their order."""
    accepted, withdrawn, manifests = (
        dict[int, FileAccepted](),
        list[FileWithdrawn](),
        dict[int, ViewPublished](),
    )
    with EventReader(
        settings,
        [topic_of(kind) for kind in (FileAccepted, FileWithdrawn, ViewPublished)],
        refused=pass_over,
    ) as reader:
        for event, message in reader.read_to_end():
            match event:
                case FileAccepted():
                    accepted[message.offset()] = event
                case FileWithdrawn():
                    withdrawn.append(event)
                case ViewPublished():
                    manifests.setdefault(event.epoch, event)
                case _:
                    pass
    return [
        state_of(number, event, withdrawn, manifests.values())
        for number, event in sorted(accepted.items())
    ]


def _one(found: list[FileState], name: str) -> FileState:
    """By number, or the newest with this URI."""
    by_number = int(name) if name.isascii() and name.isdigit() and len(name) <= 18 else -1
    matching = [
        state for state in found if state.number == by_number or state.accepted.file.uri == name
    ]
    if not matching:
        raise SettingsError(
            f"no accepted file has the number or the URI {name[:200]!r}: see twinstream files list"
        )
    return matching[-1]


def _file_letters(settings: MeshSettings) -> Iterator[Letter]:
    return (letter for letter in letters(settings, ("ingest",)) if letter.fact("x_uri"))


def _line(found: FileState) -> dict[str, Any]:
    file = found.accepted.file
    return {
        "number": found.number,
        "source": found.accepted.source,
        "state": found.state,
        "epoch": found.epoch or None,
        "rows": file.rows if file.rows >= 0 else None,
        "bytes": file.size_bytes,
        "at_us": found.accepted.accepted_at_us,
        "uri": file.uri,
    }


def _refused(letter: Letter) -> dict[str, Any]:
    return {
        "number": None,
        "source": letter.fact("x_source"),
        "state": "refused",
        "epoch": None,
        "rows": None,
        "bytes": None,
        "at_us": letter.at_us,
        "uri": letter.fact("x_uri"),
        "dead_letter": str(letter.id),
        "reason": letter.fact("reason"),
    }


def _cells(line: dict[str, Any]) -> tuple[object, ...]:
    when = datetime.fromtimestamp(line["at_us"] / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%S")
    more = f" ({line['dead_letter']})" if "dead_letter" in line else ""
    return (
        line["number"],
        shown(line["source"]),
        line["state"] + more,
        line["epoch"],
        line["rows"],
        line["bytes"],
        when,
        shown(line["uri"]),
    )
