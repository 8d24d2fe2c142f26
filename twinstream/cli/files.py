"""`files list | show | withdraw`: the files that were announced, and what became of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple

import typer

from schemas.events import Event, FileAccepted, FileWithdrawn, ViewPublished
from schemas.topics import topic_of
from twinstream.cli import running
from twinstream.cli.letter_options import SourceName
from twinstream.cli.options import DEFAULT_DATA, Data, Json
from twinstream.cli.show import as_json, note, print_rows, shown, utc_second
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


State = Annotated[str, typer.Option(help="Only accepted, withdrawn, folded, left out, or refused.")]
Reason = Annotated[str, typer.Option(help="Why, for those who look at it later.")]


@app.command("list")
def list_files(
    source: SourceName = "",
    data: Data = DEFAULT_DATA,
    state: State = "",
    json: Json = False,  # noqa: FBT002
) -> None:
    """List accepted files in their order, and those that were refused;
    with --json one file a line.
    """
    lines = [
        line
        for line in _all_lines(running.mesh(data).settings)
        if source in {"", line["source"]} and state in {"", line["state"]}
    ]
    print_rows(lines, COLUMNS, _cells, json=json)
    note(f"{len(lines)} file(s)")


def _all_lines(settings: MeshSettings) -> list[dict[str, Any]]:
    return [*map(_line, states(settings)), *map(_refused, _file_letters(settings))]


@app.command()
def show(file: Which, data: Data = DEFAULT_DATA) -> None:
    """Show one file as JSON, with the dead letters of its rows."""
    settings = running.mesh(data).settings
    found = _one(states(settings), file)
    as_json(_all_facts(found, _letters_about(settings, found.accepted.file.uri)))


def _all_facts(found: FileState, about: list[Letter]) -> dict[str, Any]:
    return {
        **_line(found),
        "file": found.accepted.file,
        "format": found.accepted.format,
        "dead_letters": len(about),
        "first": list(map(_bad_row, about[:1000])),
    }


def _letters_about(settings: MeshSettings, uri: str) -> list[Letter]:
    return [
        letter
        for letter in letters(settings)
        if uri in {letter.fact("topic"), letter.fact("x_uri")}
    ]


def _bad_row(letter: Letter) -> dict[str, str]:
    return {"id": str(letter.id), "line": letter.fact("x_line"), "reason": letter.fact("reason")}


@app.command()
def withdraw(
    file: Which,
    data: Data = DEFAULT_DATA,
    reason: Reason = "",
) -> None:
    """Take a file back: the next epoch lands without it. What is folded already stays."""
    settings = running.mesh(data).settings
    found = _one(states(settings), file)
    if _is_open(found):
        EventPublisher(settings, "/cli").publish(_withdrawal(found.accepted, reason))
        note(f"file {found.number} is withdrawn: {shown(found.accepted.file.uri)}")


def _is_open(found: FileState) -> bool:
    """Whether it can be withdrawn; raises MeshError when it is too late."""
    if found.state == "folded":
        raise MeshError(
            f"file {found.number} is folded: epoch {found.epoch} holds it for good, "
            "and no command takes it out"
        )
    if found.state != "accepted":
        note(f"file {found.number} is {found.state} already")
    return found.state == "accepted"


def _withdrawal(accepted: FileAccepted, reason: str) -> FileWithdrawn:
    return FileWithdrawn(
        source=accepted.source,
        uri=accepted.file.uri,
        version_id=accepted.file.version_id,
        reason=reason,
        withdrawn_at_us=WallClock().now_us(),
    )


def states(settings: MeshSettings) -> list[FileState]:
    """All accepted files in their order."""
    told = _told(settings)
    return [
        state_of(number, event, told.withdrawn, told.manifests.values())
        for number, event in sorted(told.accepted.items())
    ]


def _told(settings: MeshSettings) -> _Told:
    told = _Told({}, [], {})
    topics = [topic_of(kind) for kind in (FileAccepted, FileWithdrawn, ViewPublished)]
    with EventReader(settings, topics, refused=pass_over) as reader:
        for event, message in reader.read_to_end():
            told.note(event, message.offset())
    return told


class _Told(NamedTuple):
    """What the topics say of files: accepted ones by number, the first view of each epoch."""

    accepted: dict[int, FileAccepted]
    withdrawn: list[FileWithdrawn]
    manifests: dict[int, ViewPublished]

    def note(self, event: Event, offset: int) -> None:
        """Take the next event."""
        match event:
            case FileAccepted():
                self.accepted[offset] = event
            case FileWithdrawn():
                self.withdrawn.append(event)
            case ViewPublished():
                self.manifests.setdefault(event.epoch, event)
            case _:
                pass


def _one(found: list[FileState], name: str) -> FileState:
    """By number, or the newest with this URI."""
    number = _number(name)
    for state in reversed(found):
        if state.number == number or state.accepted.file.uri == name:
            return state
    raise SettingsError(
        f"no accepted file has the number or the URI {name[:200]!r}: see twinstream files list"
    )


def _number(name: str) -> int:
    """-1: it is none."""
    return int(name) if name.isascii() and name.isdigit() and len(name) <= 18 else -1


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
    more = f" ({line['dead_letter']})" if "dead_letter" in line else ""
    return (
        line["number"],
        shown(line["source"]),
        line["state"] + more,
        line["epoch"],
        line["rows"],
        line["bytes"],
        utc_second(line["at_us"]),
        shown(line["uri"]),
    )
