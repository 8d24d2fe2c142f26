"""`dead-letters list | show | replay | drop`: what services could not handle, and what becomes of
it.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import typer

from schemas.topics import SERVICES
from twinstream.cli import running
from twinstream.cli.letter_options import (
    Again,
    Corrected,
    Edit,
    Everything,
    Ids,
    Kind,
    Limit,
    OneId,
    OriginText,
    OutFile,
    Raw,
    Reason,
    Service,
    Since,
    SourceName,
    Until,
    Why,
)
from twinstream.cli.letter_replays import Correction, Replays, say_resolved
from twinstream.cli.options import DEFAULT_DATA, Data, Json
from twinstream.cli.sending import zoned
from twinstream.cli.show import note, out, print_rows, shown, utc_second
from twinstream.errors import MeshError, SettingsError
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
            and self.since_us <= letter.at_us < self.until_us
            and self._names(letter)
        )

    def _names(self, letter: Letter) -> bool:
        """Whether source and kind are the wanted ones; "" is any."""
        return self.source in {"", letter.fact("x_source")} and self.kind in {
            "",
            letter.fact("kind"),
        }


def wanted(
    service: str,
    reason: str,
    source: str,
    kind: str,
    origin: str,
    since: str,
    until: str,
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
        return int(zoned(datetime.fromisoformat(text)).timestamp() * 1e6)
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
    limit: Limit = 50,
    everything: Everything = False,  # noqa: FBT002
    json: Json = False,  # noqa: FBT002
) -> None:
    """List what is not dealt with, oldest first; with --json one letter a line."""
    which = wanted(service, reason, source, kind, origin, since, until)
    _print(_newest(running.mesh(data).settings, which, limit, everything=everything), json=json)


def _print(found: _Newest, *, json: bool) -> None:
    print_rows(found.rows, COLUMNS, _cells, json=json)
    note(_counted(found))


class _Newest(NamedTuple):
    """The newest letters, oldest first, of so many."""

    rows: list[dict[str, Any]]
    total: int


def _newest(
    settings: MeshSettings,
    which: Wanted,
    limit: int,
    *,
    everything: bool,
) -> _Newest:
    total, newest = 0, deque[dict[str, Any]](maxlen=limit)
    for found in _rows(settings, which, everything=everything):
        total += 1
        newest.append(found)
    return _Newest(sorted(newest, key=lambda line: line["at_us"]), total)


def _rows(
    settings: MeshSettings,
    which: Wanted,
    *,
    everything: bool,
) -> Iterator[dict[str, Any]]:
    done = resolved(settings)
    for letter in letters(settings, which.services):
        if which.holds(letter) and (everything or letter.id not in done):
            yield row(letter, done.get(letter.id, ""))


def _counted(found: _Newest) -> str:
    some = len(found.rows)
    more = f", the newest {some} shown: --limit shows more" if found.total > some else ""
    return f"{found.total} dead letter(s){more}"


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
    return (
        line["id"],
        utc_second(line["at_us"]),
        shown(f"{line['kind']} ({line['state']})" if line["state"] else line["kind"]),
        shown(line["reason"].replace("\n", " ")[:REASON_CHARS]),
        shown(line["origin"][:200]),
        str(line["bytes"]),
    )


@app.command()
def show(
    letter_id: OneId,
    data: Data = DEFAULT_DATA,
    raw: Raw = False,  # noqa: FBT002
    into: OutFile = None,
) -> None:
    """Show one with its reason, trace, headers and original."""
    where = LetterId.parse(letter_id)
    settings = running.mesh(data).settings
    letter = letter_at(settings, where)
    original = original_of(settings, letter)
    if into is None and not raw:
        _show(letter, original, resolved(settings).get(where, "open"))
    else:
        _write(original, into)


def _write(original: bytes, into: Path | None) -> None:
    """Into a file, or to standard output."""
    if into is not None:
        into.write_bytes(original)
        note(f"{len(original)} bytes in {into}")
        return
    sys.stdout.buffer.write(original)
    sys.stdout.buffer.flush()


def _show(letter: Letter, original: bytes, state: str) -> None:
    for name, value in _facts(letter, state).items():
        out.print(f"[bold]{shown(name)}[/] {shown(str(value))}", soft_wrap=True)
    _show_original(original)


def _show_original(original: bytes) -> None:
    cut = f", the first {SHOWN_BYTES}; --raw has all" if len(original) > SHOWN_BYTES else ""
    out.print(f"\n[bold]original[/] ({len(original)} bytes{cut})")
    out.print(shown(original[:SHOWN_BYTES].decode(errors="backslashreplace")), soft_wrap=True)


def _facts(letter: Letter, state: str) -> dict[str, object]:
    return {
        "id": letter.id,
        "state": state,
        "from": letter.origin,
        "key": letter.key,
        **letter.facts,
        **_carried(letter),
    }


def _carried(letter: Letter) -> dict[str, str]:
    """The original's own headers."""
    return {
        f"original {name}": value.decode(errors="backslashreplace")
        for name, value in letter.carried
    }


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
    corrected: Corrected = None,
    edit: Edit = False,  # noqa: FBT002
    again: Again = False,  # noqa: FBT002
) -> None:
    """Send originals through the door that they came by; each counts once.

    Name ids, or filters: all that they hold is sent.
    """
    mesh = running.mesh(data)
    which = wanted(service, reason, source, kind, origin, since, until)
    _replay(mesh, ids or [], which, Correction(corrected, edit), again=again)


def _replay(
    mesh: running.Running,
    ids: list[str],
    which: Wanted,
    correction: Correction,
    *,
    again: bool,
) -> None:
    correction.check(ids)
    replays = Replays(mesh.settings, mesh.pipeline(), correction)
    chosen = _chosen(mesh.settings, ids, which, again=again)
    failed = [problem for letter in chosen if (problem := replays.problem(letter))]
    if failed:
        raise MeshError(f"{len(failed)} not replayed: {failed[0]}")


@app.command()
def drop(
    why: Why,
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
    note(f"{_drop(settings, ids or [], which, why)} dead letter(s) dropped")


def _drop(
    settings: MeshSettings,
    ids: list[str],
    which: Wanted,
    why: str,
) -> int:
    """How many there were."""
    events = EventPublisher(settings, SENDER)
    count = 0
    for letter in _chosen(settings, ids, which, again=False):
        say_resolved(events, letter.id, "dropped", why, wait=False)
        count += 1
    events.flush()
    return count


def _chosen(
    settings: MeshSettings,
    ids: list[str],
    which: Wanted,
    *,
    again: bool,
) -> Iterator[Letter]:
    """The letters that ids or filters mean.

    One that is dealt with is refused by its id, and passed over by a filter, unless `again`.
    """
    named = _parsed(ids, which)
    done = resolved(settings)
    if not again:
        _refuse_settled(named, done)
    found = _named_or_all(settings, named, which)
    return (letter for letter in found if which.holds(letter) and (again or letter.id not in done))


def _parsed(ids: list[str], which: Wanted) -> list[LetterId]:
    """Each once; raises SettingsError when there are none, nor a filter."""
    named = [LetterId.parse(text) for text in dict.fromkeys(ids)]
    if not named and which == Wanted():
        raise SettingsError(
            "name dead letters by their ids, or by a filter such as --reason or --service"
        )
    return named


def _refuse_settled(named: Iterable[LetterId], done: Mapping[LetterId, str]) -> None:
    settled = [f"{where} was {done[where]} before" for where in named if where in done]
    if settled:
        raise MeshError(
            "; ".join(settled) + ": --again does it once more, and only an id within its dedupe "
            "horizon then counts once"
        )


def _named_or_all(settings: MeshSettings, named: list[LetterId], which: Wanted) -> Iterable[Letter]:
    if named:
        return (letter_at(settings, where) for where in named)
    return letters(settings, which.services)
