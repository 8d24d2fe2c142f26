"""`dead-letters list | show | replay | drop`: what services could not handle, and what becomes of
it.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from schemas.events import DeadLetterResolved
from schemas.topics import SERVICES
from twinstream.cli import editing, replaying, running
from twinstream.cli.options import DEFAULT_DATA, Data, Json
from twinstream.cli.show import as_json, note, out, shown, table
from twinstream.errors import MeshError, SettingsError
from twinstream.mesh.clock import WallClock
from twinstream.mesh.dead_letter_reader import (
    Letter,
    LetterId,
    letter_at,
    letters,
    original_of,
    resolved,
)
from twinstream.mesh.events import EventPublisher
from twinstream.mesh.settings import MeshSettings

app = typer.Typer(
    no_args_is_help=True,
    help="What services could not handle: list it, look at it, send it again, or drop it.",
)
SENDER = "/cli"
REASON_CHARS = 100
SHOWN_BYTES = 4000
COLUMNS = ("id", "when", "kind", "reason", "from", "bytes")

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


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which letters a user means."""

    service: str = ""
    reason: str = ""
    source: str = ""
    kind: str = ""
    origin: str = ""
    since_us: int = 0
    until_us: int = 1 << 62

    def __post_init__(self) -> None:
        if self.service and self.service not in SERVICES:
            raise SettingsError(f"there is no service {self.service[:80]!r}: {', '.join(SERVICES)}")

    @property
    def services(self) -> tuple[str, ...]:
        return (self.service,) if self.service else SERVICES

    def holds(self, letter: Letter) -> bool:
        """Whether a letter is one of them."""
        return (
            self.reason in letter.fact("reason")
            and self.origin in letter.fact("topic")
            and self.source in {"", letter.fact("x_source")}
            and self.kind in {"", letter.fact("kind")}
            and self.since_us <= letter.at_us < self.until_us
        )


def wanted(
    service: str, reason: str, source: str, kind: str, origin: str, since: str, until: str
) -> Wanted:
    """Of the options; raises SettingsError."""
    return Wanted(
        service=service,
        reason=reason,
        source=source,
        kind=kind,
        origin=origin,
        since_us=moment_us(since) if since else 0,
        until_us=moment_us(until) if until else 1 << 62,
    )


def moment_us(text: str) -> int:
    """A time that a user wrote, UTC when it names no zone."""
    try:
        found = datetime.fromisoformat(text)
        return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1e6)
    except (ValueError, OverflowError) as error:
        raise SettingsError(
            f"{text[:80]!r} is not a time: write 2026-01-31 or 2026-01-31T12:00:00Z"
        ) from error


@app.command("list")
def list_letters(
    service: Service = "",
    reason: Reason = "",
    source: SourceName = "",
    kind: Kind = "",
    origin: OriginText = "",
    since: Since = "",
    until: Until = "",
    data: Data = DEFAULT_DATA,
    limit: Annotated[int, typer.Option(min=1, max=10_000_000, help="So many of the newest.")] = 50,
    everything: Annotated[  # noqa: FBT002
        bool, typer.Option("--all", help="Also those that were replayed or dropped.")
    ] = False,
    json: Json = False,  # noqa: FBT002
) -> None:
    """List what is not dealt with, oldest first; with --json one letter a line."""
    which = wanted(service, reason, source, kind, origin, since, until)
    settings = running.mesh(data).settings
    done = resolved(settings)
    total, newest = 0, deque[dict[str, Any]](maxlen=limit)
    for letter in letters(settings, which.services):
        if which.holds(letter) and (everything or letter.id not in done):
            total += 1
            newest.append(row(letter, done.get(letter.id, "")))
    shown_rows = sorted(newest, key=lambda line: line["at_us"])
    if json:
        for line in shown_rows:
            as_json(line)
    else:
        out.print(table(COLUMNS, [_cells(line) for line in shown_rows]))
    note(
        f"{total} dead letter(s)"
        + (f", the newest {len(newest)} shown: --limit shows more" if total > len(newest) else "")
    )


def row(letter: Letter, state: str) -> dict[str, Any]:
    """What a list says of a letter, without its original."""
    return {
        "id": str(letter.id),
        "at_us": letter.at_us,
        "service": letter.id.service,
        "kind": letter.fact("kind") or "permanent",
        "reason": letter.fact("reason"),
        "origin": letter.origin,
        "source": letter.fact("x_source"),
        "bytes": letter.size,
        "state": state,
    }


def _cells(line: dict[str, Any]) -> tuple[str, ...]:
    when = datetime.fromtimestamp(line["at_us"] / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%S")
    reason = line["reason"].replace("\n", " ")[:REASON_CHARS]
    kind = f"{line['kind']} ({line['state']})" if line["state"] else line["kind"]
    return (
        line["id"],
        when,
        shown(kind),
        shown(reason),
        shown(line["origin"][:200]),
        str(line["bytes"]),
    )


@app.command()
def show(
    letter_id: Annotated[
        str, typer.Argument(metavar="ID", help="As list prints it, SERVICE/PARTITION/OFFSET.")
    ],
    data: Data = DEFAULT_DATA,
    raw: Annotated[  # noqa: FBT002
        bool, typer.Option("--raw", help="Only the original's bytes, as they came.")
    ] = False,
    into: Annotated[
        Path | None,
        typer.Option("--out", help="Write the original's bytes to this file.", dir_okay=False),
    ] = None,
) -> None:
    """Show one with its reason, trace, headers and original."""
    where = LetterId.parse(letter_id)
    settings = running.mesh(data).settings
    letter = letter_at(settings, where)
    original = original_of(settings, letter)
    if into is not None:
        into.write_bytes(original)
        note(f"{len(original)} bytes in {into}")
    elif raw:
        sys.stdout.buffer.write(original)
        sys.stdout.buffer.flush()
    else:
        _show(letter, original, resolved(settings).get(where, "open"))


def _show(letter: Letter, original: bytes, state: str) -> None:
    facts = {
        "id": letter.id,
        "state": state,
        "from": letter.origin,
        "key": letter.key,
        **letter.facts,
    }
    carried = {
        f"original {name}": value.decode(errors="backslashreplace")
        for name, value in letter.carried
    }
    for name, value in (facts | carried).items():
        out.print(f"[bold]{shown(name)}[/] {shown(str(value))}", soft_wrap=True)
    cut = f", the first {SHOWN_BYTES}; --raw has all" if len(original) > SHOWN_BYTES else ""
    out.print(f"\n[bold]original[/] ({len(original)} bytes{cut})")
    out.print(shown(original[:SHOWN_BYTES].decode(errors="backslashreplace")), soft_wrap=True)


@app.command()
def replay(
    ids: Ids = None,
    service: Service = "",
    reason: Reason = "",
    source: SourceName = "",
    kind: Kind = "",
    origin: OriginText = "",
    since: Since = "",
    until: Until = "",
    data: Data = DEFAULT_DATA,
    corrected: Annotated[
        Path | None,
        typer.Option(
            "--with", help="Bytes to send in place of the original's.", exists=True, dir_okay=False
        ),
    ] = None,
    edit: Annotated[  # noqa: FBT002
        bool, typer.Option("--edit", help="Correct the original in $EDITOR and send that.")
    ] = False,
    again: Annotated[  # noqa: FBT002
        bool, typer.Option("--again", help="Also what was replayed or dropped before.")
    ] = False,
) -> None:
    """Send originals through the door that they came by; each counts once.

    Name ids, or filters: all that they hold is sent.
    """
    mesh = running.mesh(data)
    which = wanted(service, reason, source, kind, origin, since, until)
    if corrected is not None and edit:
        raise SettingsError("--with and --edit each say what to send: give one of them")
    if (corrected is not None or edit) and len(ids or ()) != 1:
        raise SettingsError("--with and --edit correct one dead letter: name its id")
    command = editing.editor(os.environ) if edit else []
    sender = replaying.Sender(mesh.settings, mesh.pipeline())
    failed = []
    for letter in _chosen(mesh.settings, ids or [], which, again=again):
        problem = (
            _edited(mesh.settings, sender, letter, command)
            if edit
            else _replayed(mesh.settings, sender, letter, corrected)
        )
        failed += [problem] if problem else []
    if failed:
        raise MeshError(f"{len(failed)} not replayed: {failed[0]}")


def _edited(
    settings: MeshSettings, sender: replaying.Sender, letter: Letter, command: list[str]
) -> str:
    """As `_replayed`, of what a user makes of the original.

    What they wrote is kept until it is sent.
    """
    file = editing.written(f"{letter.id}-".replace("/", "-"), original_of(settings, letter))
    try:
        better = editing.edited(file, command)
    except MeshError:
        file.unlink()
        raise
    file.write_bytes(better)
    problem = _replayed(settings, sender, letter, file)
    if problem:
        return f"{problem}; what you wrote is in {file}: mend it and give it with --with"
    file.unlink()
    return ""


def _replayed(
    settings: MeshSettings, sender: replaying.Sender, letter: Letter, corrected: Path | None
) -> str:
    """Why a letter could not be sent again; "" when it was.

    It is marked only when Kafka has it: sent twice, its id counts once.
    """
    try:
        original = (
            corrected.read_bytes() if corrected is not None else original_of(settings, letter)
        )
        place = sender.send(letter, original, corrected=corrected is not None)
    except MeshError as error:
        note(f"{letter.id}: {shown(str(error))}")
        return f"{letter.id}: {error}"
    _resolve(
        sender.events, letter.id, "replayed", f"as {place.topic}[{place.partition}]@{place.offset}"
    )
    note(f"{letter.id} replayed as {place.topic}\\[{place.partition}]@{place.offset}")
    return ""


@app.command()
def drop(
    why: Annotated[str, typer.Option("--why", help="For those who look at it later.")],
    ids: Ids = None,
    service: Service = "",
    reason: Reason = "",
    source: SourceName = "",
    kind: Kind = "",
    origin: OriginText = "",
    since: Since = "",
    until: Until = "",
    data: Data = DEFAULT_DATA,
) -> None:
    """Say that nothing is to be done about them; they stay in their topic, and list --all shows
    them.
    """
    settings = running.mesh(data).settings
    which = wanted(service, reason, source, kind, origin, since, until)
    events = EventPublisher(settings, SENDER)
    count = 0
    for letter in _chosen(settings, ids or [], which, again=False):
        _resolve(events, letter.id, "dropped", why, wait=False)
        count += 1
    events.flush()
    note(f"{count} dead letter(s) dropped")


def _resolve(
    events: EventPublisher, where: LetterId, how: str, reason: str, *, wait: bool = True
) -> None:
    events.publish(
        DeadLetterResolved(
            service=where.service,
            partition=where.partition,
            offset=where.offset,
            how=how,
            reason=reason,
            resolved_at_us=WallClock().now_us(),
        ),
        wait=wait,
    )


def _chosen(
    settings: MeshSettings, ids: list[str], which: Wanted, *, again: bool
) -> Iterator[Letter]:
    """The letters that ids or filters mean.

    One that is dealt with is refused by its id, and passed over by a filter, unless `again`.
    """
    named = [LetterId.parse(text) for text in dict.fromkeys(ids)]
    if not named and which == Wanted():
        raise SettingsError(
            "name dead letters by their ids, or by a filter such as --reason or --service"
        )
    done = resolved(settings)
    settled = [
        f"{where} was {done[where]} before" for where in named if where in done and not again
    ]
    if settled:
        raise MeshError(
            "; ".join(settled)
            + (
                ": --again does it once more, and only an id within its dedupe horizon then "
                "counts once"
            )
        )
    found: Iterable[Letter] = (
        (letter_at(settings, where) for where in named)
        if named
        else letters(settings, which.services)
    )
    return (letter for letter in found if which.holds(letter) and (again or letter.id not in done))
