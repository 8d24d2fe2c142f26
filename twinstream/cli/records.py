"""`publish`, `send`, `seal`: what users put into a mesh."""

from __future__ import annotations

import sys
import time
from collections.abc import Collection, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from deploy.local import state as states
from schemas.events import DataArrived, FileAccepted, FileRef, SealRequested, ViewPublished
from schemas.topics import dead_letter, topic_of
from twinstream.cli import running
from twinstream.cli.options import DEFAULT_DATA, Data, Json, Timeout
from twinstream.cli.sending import lines_of, send_lines
from twinstream.cli.show import as_json, note, shown
from twinstream.errors import MeshError, SettingsError, UndecodableEventError, WaitTimeoutError
from twinstream.mesh.clock import WallClock
from twinstream.mesh.events import EventPublisher, EventReader, Place, event_of, pass_over
from twinstream.mesh.object_store import ObjectStore, sha256_of, split_uri
from twinstream.mesh.settings import MeshSettings

SENDER = "/cli"
ACCEPTED, REPEATED = "accepted", "repeated"
FORMATS = {
    ".parquet": "parquet",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
}


def publish(
    source: Annotated[str, typer.Argument(help="A source of your definition.")],
    files: Annotated[
        list[str],
        typer.Argument(
            help="Local files, which are uploaded, or s3://bucket/key.", metavar="FILES..."
        ),
    ],
    data: Data = DEFAULT_DATA,
    file_format: Annotated[
        str, typer.Option("--format", help="parquet, csv or jsonl; default: by the name's ending.")
    ] = "",
    wait: Annotated[  # noqa: FBT002
        bool,
        typer.Option(
            "--wait",
            help=(
                "Until each file is accepted or dead-lettered; exit with 1 if one is dead-lettered."
            ),
        ),
    ] = False,
    timeout: Timeout = 120.0,
    json: Json = False,  # noqa: FBT002
) -> None:
    """Tell the mesh that files of a source have arrived; local ones are put on S3 first,
    pinned by version and SHA-256.
    """
    mesh = running.mesh(data)
    mesh.pipeline().source(source)
    refs = [_pinned(mesh.settings, source, file) for file in files]
    event = DataArrived(
        source=source,
        files=refs,
        format=file_format or _format_of(files),
        arrived_at_us=WallClock().now_us(),
    )
    outcome = _published(mesh.settings, event, timeout) if wait else {}
    if not wait:
        EventPublisher(mesh.settings, SENDER).publish(event, key=source)
    if json:
        as_json({"source": source, "files": refs, "outcome": outcome})
    note(
        f"published {len(refs)} file(s) of {source}" + (f": {_summary(outcome)}" if outcome else "")
    )
    dead_letters = [
        f"{uri}: {what}" for uri, what in outcome.items() if what not in {ACCEPTED, REPEATED}
    ]
    if dead_letters:
        raise MeshError("dead-lettered " + "; ".join(dead_letters))


def _summary(outcome: dict[str, str]) -> str:
    accepted, repeated = (
        sum(what == of for what in outcome.values()) for of in (ACCEPTED, REPEATED)
    )
    told = f", {repeated} accepted before, which count once" if repeated else ""
    return f"{accepted} accepted{told}, {len(outcome) - accepted - repeated} dead-lettered"


def _pinned(settings: MeshSettings, source: str, file: str) -> FileRef:
    """The reference of an object; a local file is uploaded under a name that holds its digest,
    so none is overwritten.
    """
    store = ObjectStore(settings)
    if file.startswith(("s3://", "s3a://")):
        bucket, key = split_uri(file)
        head = store.head(bucket, key)
        return FileRef(
            uri=f"s3://{bucket}/{key}",
            sha256="",
            version_id=head.version_id,
            size_bytes=head.size_bytes,
        )
    path = Path(file)
    if not path.is_file():
        raise SettingsError(f"there is no file {file!r}")
    digest = sha256_of(path)
    uri = f"s3://{settings.raw_bucket}/{source}/{digest[:16]}/{path.name}"
    version = store.upload(path, uri)
    return FileRef(uri=uri, sha256=digest, version_id=version or "", size_bytes=path.stat().st_size)


def _format_of(files: list[str]) -> str:
    found = {FORMATS.get(Path(file).suffix.lower(), "") for file in files}
    if len(found) != 1 or "" in found:
        raise SettingsError(
            "the files' format is not clear from their names: "
            "give --format parquet, csv or jsonl, one format per call"
        )
    return found.pop()


def _published(settings: MeshSettings, event: DataArrived, timeout_s: float) -> dict[str, str]:
    """Publish an arrival; for each URI `accepted`, `repeated`, or why it was dead-lettered."""
    wanted = {ref.uri: ref for ref in event.files}
    with EventReader(settings, [topic_of(FileAccepted), dead_letter("ingest")]) as reader:
        before = {
            uri
            for message in reader.messages_to_end()
            if (uri := repeated_by(message, event.source, wanted))
        }
        place = EventPublisher(settings, SENDER).publish(event, key=event.source)
        outcome = dict.fromkeys(before, REPEATED)
        give_up = time.monotonic() + timeout_s
        while place and wanted.keys() - outcome:
            if time.monotonic() > give_up:
                raise WaitTimeoutError(
                    f"{len(wanted.keys() - outcome)} file(s) neither accepted nor "
                    f"dead-lettered after {timeout_s:.0f} s: "
                    "is ingest up? See twinstream status"
                )
            message = reader.poll_raw(0.2)
            outcome |= (
                outcome_of(message, place, event.source, wanted.keys() - outcome)
                if message is not None
                else {}
            )
    return outcome


def repeated_by(message: Any, source: str, wanted: Mapping[str, FileRef]) -> str:
    """The URI of a wanted file that an earlier acceptance pins in the same version,
    "" for none: ingest takes it no second time.
    """
    accepted = _acceptance(message)
    ref = (
        wanted.get(accepted.file.uri)
        if accepted is not None and accepted.source == source
        else None
    )
    if accepted is None or ref is None:
        return ""
    pin = ref.version_id or ref.sha256
    return ref.uri if pin and pin == (accepted.file.version_id or accepted.file.sha256) else ""


def outcome_of(message: Any, place: Place, source: str, wanted: Collection[str]) -> dict[str, str]:
    """What a message that came after the arrival at `place` says of its files."""
    if message.topic() == dead_letter("ingest"):
        return _dead_letters(message, place, set(wanted))
    accepted = _acceptance(message)
    mine = accepted is not None and accepted.source == source and accepted.file.uri in wanted
    return {accepted.file.uri: ACCEPTED} if accepted is not None and mine else {}


def _acceptance(message: Any) -> FileAccepted | None:
    try:
        event = event_of(message)
    except UndecodableEventError:
        return None
    return event if isinstance(event, FileAccepted) else None


def _dead_letters(message: Any, place: Place, wanted: set[str]) -> dict[str, str]:
    """Reasons by URI when a dead letter came from the event at `place`."""
    headers = {
        name: (value or b"").decode(errors="replace") for name, value in message.headers() or ()
    }
    origin = (
        headers.get("dead_letter_topic"),
        headers.get("dead_letter_partition"),
        headers.get("dead_letter_offset"),
    )
    if origin != (place.topic, str(place.partition), str(place.offset)):
        return {}
    uris = {headers["x_uri"]} & wanted if headers.get("x_uri") else wanted
    return dict.fromkeys(uris, headers.get("dead_letter_reason", "no reason given"))


def send(
    source: Annotated[str, typer.Argument(help="A source of your definition.")],
    file: Annotated[str, typer.Argument(help="JSON lines; - is standard input.")] = "-",
    data: Data = DEFAULT_DATA,
    timestamp_field: Annotated[
        str,
        typer.Option(
            help="Field whose time becomes the message's (for a mesh with TWINSTREAM_CLOCK=replay)."
        ),
    ] = "",
    strict: Annotated[  # noqa: FBT002
        bool,
        typer.Option(
            "--strict", help="Stop at the first line that is not a JSON object; exit with 1."
        ),
    ] = False,
) -> None:
    """Send live records; print the position to ask for, `{source: {partition: offset}}`,
    when Kafka has them all.

    A bad line is sent as it is and becomes a dead letter of ingest, with its reason;
    the others count.
    """
    mesh = running.mesh(data)
    described = mesh.pipeline().source(source)
    if file != "-" and not Path(file).is_file():
        raise SettingsError(f"there is no file {file!r}")
    with nullcontext(sys.stdin.buffer) if file == "-" else Path(file).open("rb") as stream:
        positions, tally = send_lines(
            mesh.settings, described, lines_of(stream), timestamp_field, strict=strict
        )
    as_json(positions)
    note(shown(f"{tally} (source {source})"))
    if tally.left or (tally.bad and tally.bad == tally.sent):
        raise MeshError(
            "no line was good" if not tally.left else f"{tally.left} line(s) were not sent"
        )


def seal(
    data: Data = DEFAULT_DATA,
    wait: Annotated[  # noqa: FBT002
        bool, typer.Option("--wait", help="Until the batch view of every view is published.")
    ] = False,
    reason: Annotated[str, typer.Option(help="Why, for the log.")] = "asked on the command line",
    timeout: Timeout = 600.0,
    json: Json = False,  # noqa: FBT002
) -> None:
    """End the current epoch now and run the batch layer."""
    mesh = running.mesh(data)
    views = {view.name for view in mesh.pipeline().views}
    with EventReader(mesh.settings, [topic_of(ViewPublished)], refused=pass_over) as reader:
        before = max(
            (event.epoch for event, _ in reader.read_to_end() if isinstance(event, ViewPublished)),
            default=0,
        )
        EventPublisher(mesh.settings, SENDER).publish(
            SealRequested(reason=reason, requested_at_us=WallClock().now_us())
        )
        epoch = _await_views(reader, views, before, timeout, data) if wait else None
    if json:
        as_json({"epoch": epoch, "views": sorted(views) if wait else []})
    note(
        f"epoch {epoch}: {len(views)} views published"
        if wait
        else "asked for the end of the epoch; see twinstream watch"
    )


MOST_RESTARTS = 10
"""Who waits is told of each restart; after so many, that waiting is of no use."""


def _batch(data: Path) -> states.ServiceState:
    """The batch layer of the mesh in this folder; where there is none, one that never restarts and
    waits for nothing.
    """
    state = states.read(data.absolute())
    return (
        state.services.get("batch", states.STOPPED)
        if state is not None and state.running
        else states.STOPPED
    )


class BatchWatch:
    """Tells who waits what the batch layer of this host does meanwhile:
    that it restarts, and what blocks it.
    """

    def __init__(self, data: Path) -> None:
        self._data, self._now = (
            data,
            msgspec.structs.replace(_batch(data), blocked=""),
        )  # what blocks it already is news too
        self._first = self._now.restarts
        self.why = ""

    def look(self) -> None:
        """Tell what is new; raises MeshError when it restarts without end."""
        before, self._now = self._now, _batch(self._data)
        if self._now.restarts > before.restarts:
            note(
                "batch ended and is started again, and does its step again: "
                "if it goes on so, see twinstream logs batch"
            )
        if self._now.blocked and self._now.blocked != before.blocked:
            note(f"batch is blocked: {shown(self._now.blocked)}")
        fell = self._now.restarts > self._first
        self.why = self._now.blocked or (self._now.last_error if fell else "") or self.why
        if self._now.restarts - self._first >= MOST_RESTARTS:
            raise MeshError(
                f"batch was started again {MOST_RESTARTS} times: "
                f"{self._now.last_error or 'see twinstream logs batch'}"
            )


def _await_views(
    reader: EventReader, views: set[str], before: int, timeout_s: float, data: Path
) -> int:
    """The epoch after `before` of which every view is published;
    says so when the batch layer of this host falls or is blocked meanwhile.
    """
    published: dict[int, set[str]] = {}
    give_up, batch = time.monotonic() + timeout_s, BatchWatch(data)
    while time.monotonic() < give_up:
        found = reader.poll(0.2)
        batch.look()
        if found is None or not isinstance(found[0], ViewPublished) or found[0].epoch <= before:
            continue
        published.setdefault(found[0].epoch, set()).add(found[0].view)
        if published[found[0].epoch] >= views:
            return found[0].epoch
    why = f": {batch.why}" if batch.why else ""
    raise WaitTimeoutError(
        f"no new batch view of every view within {timeout_s:.0f} s{why}: see twinstream logs batch"
    )
