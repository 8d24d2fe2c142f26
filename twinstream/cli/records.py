"""`publish`, `send`, `seal`: what users put into a mesh."""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated, Any, BinaryIO, NamedTuple

import typer

from schemas.events import DataArrived, Event, FileAccepted, FileRef, SealRequested, ViewPublished
from schemas.topics import dead_letter, topic_of
from twinstream.cli import running
from twinstream.cli.batch_watch import BatchWatch
from twinstream.cli.options import DEFAULT_DATA, Data, Json, Timeout
from twinstream.cli.sending import Sent, lines_of, send_lines
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


SourceName = Annotated[str, typer.Argument(help="A source of your definition.")]
Files = Annotated[
    list[str],
    typer.Argument(help="Local files, which are uploaded, or s3://bucket/key.", metavar="FILES..."),
]
FileFormat = Annotated[
    str, typer.Option("--format", help="parquet, csv or jsonl; default: by the name's ending.")
]
WaitForFiles = Annotated[
    bool,
    typer.Option(
        "--wait",
        help="Until each file is accepted or dead-lettered; exit with 1 if one is dead-lettered.",
    ),
]
JsonLines = Annotated[str, typer.Argument(help="JSON lines; - is standard input.")]
TimestampField = Annotated[
    str,
    typer.Option(
        help="Field whose time becomes the message's (for a mesh with TWINSTREAM_CLOCK=replay)."
    ),
]
Strict = Annotated[
    bool,
    typer.Option("--strict", help="Stop at the first line that is not a JSON object; exit with 1."),
]
WaitForViews = Annotated[
    bool, typer.Option("--wait", help="Until the batch view of every view is published.")
]
Reason = Annotated[str, typer.Option(help="Why, for the log.")]


def publish(
    source: SourceName,
    files: Files,
    data: Data = DEFAULT_DATA,
    file_format: FileFormat = "",
    wait: WaitForFiles = False,  # noqa: FBT002
    timeout: Timeout = 120.0,
    json: Json = False,  # noqa: FBT002
) -> None:
    """Tell the mesh that files of a source have arrived; local ones are put on S3 first,
    pinned by version and SHA-256.
    """
    mesh = running.mesh(data)
    mesh.pipeline().source(source)
    event = _arrival(mesh.settings, source, files, file_format)
    outcome = _published(mesh.settings, event, timeout) if wait else {}
    if not wait:
        EventPublisher(mesh.settings, SENDER).publish(event, key=source)
    if json:
        as_json({"source": source, "files": event.files, "outcome": outcome})
    _tell(event, outcome)


def _arrival(
    settings: MeshSettings,
    source: str,
    files: list[str],
    file_format: str,
) -> DataArrived:
    return DataArrived(
        source=source,
        files=[_pinned(settings, source, file) for file in files],
        format=file_format or _format_of(files),
        arrived_at_us=WallClock().now_us(),
    )


def _tell(event: DataArrived, outcome: dict[str, str]) -> None:
    """Say what became of the files; raises MeshError when one was dead-lettered."""
    told = f": {_summary(outcome)}" if outcome else ""
    note(f"published {len(event.files)} file(s) of {event.source}{told}")
    good = {ACCEPTED, REPEATED}
    bad = [f"{uri}: {what}" for uri, what in outcome.items() if what not in good]
    if bad:
        raise MeshError("dead-lettered " + "; ".join(bad))


def _summary(outcome: dict[str, str]) -> str:
    accepted, repeated = (
        sum(what == of for what in outcome.values()) for of in (ACCEPTED, REPEATED)
    )
    told = f", {repeated} accepted before, which count once" if repeated else ""
    return f"{accepted} accepted{told}, {len(outcome) - accepted - repeated} dead-lettered"


def _pinned(
    settings: MeshSettings,
    source: str,
    file: str,
) -> FileRef:
    """The reference of an object; a local file is uploaded first."""
    store = ObjectStore(settings)
    if file.startswith(("s3://", "s3a://")):
        return _object_ref(store, file)
    path = Path(file)
    if not path.is_file():
        raise SettingsError(f"there is no file {file!r}")
    return _uploaded(store, path, f"s3://{settings.raw_bucket}/{source}")


def _uploaded(
    store: ObjectStore,
    path: Path,
    folder: str,
) -> FileRef:
    """Under a name that holds its digest, so none is overwritten."""
    digest = sha256_of(path)
    uri = f"{folder}/{digest[:16]}/{path.name}"
    version = store.upload(path, uri)
    return FileRef(uri=uri, sha256=digest, version_id=version or "", size_bytes=path.stat().st_size)


def _object_ref(store: ObjectStore, uri: str) -> FileRef:
    bucket, key = split_uri(uri)
    head = store.head(bucket, key)
    return FileRef(
        uri=f"s3://{bucket}/{key}",
        sha256="",
        version_id=head.version_id,
        size_bytes=head.size_bytes,
    )


def _format_of(files: list[str]) -> str:
    found = {FORMATS.get(Path(file).suffix.lower(), "") for file in files}
    if len(found) != 1 or "" in found:
        raise SettingsError(
            "the files' format is not clear from their names: "
            "give --format parquet, csv or jsonl, one format per call"
        )
    return found.pop()


def _published(
    settings: MeshSettings,
    event: DataArrived,
    timeout_s: float,
) -> dict[str, str]:
    """Publish an arrival; for each URI `accepted`, `repeated`, or why it was dead-lettered."""
    wanted = {ref.uri: ref for ref in event.files}
    with EventReader(settings, [topic_of(FileAccepted), dead_letter("ingest")]) as reader:
        before = _accepted_before(reader, event.source, wanted)
        place = EventPublisher(settings, SENDER).publish(event, key=event.source)
        outcome = dict.fromkeys(before, REPEATED)
        if place:
            _await_outcomes(reader, _Arrived(place, event.source, wanted), outcome, timeout_s)
    return outcome


def _accepted_before(
    reader: EventReader,
    source: str,
    wanted: Mapping[str, FileRef],
) -> set[str]:
    found = (repeated_by(message, source, wanted) for message in reader.messages_to_end())
    return {uri for uri in found if uri}


class _Arrived(NamedTuple):
    """An arrival that Kafka has, and its files by URI."""

    place: Place
    source: str
    wanted: Mapping[str, FileRef]


def _await_outcomes(
    reader: EventReader,
    arrived: _Arrived,
    outcome: dict[str, str],
    timeout_s: float,
) -> None:
    """Add to `outcome` until it has each file; raises WaitTimeoutError."""
    give_up = time.monotonic() + timeout_s
    while missing := arrived.wanted.keys() - outcome:
        if time.monotonic() > give_up:
            raise WaitTimeoutError(
                f"{len(missing)} file(s) neither accepted nor dead-lettered after "
                f"{timeout_s:.0f} s: is ingest up? See twinstream status"
            )
        message = reader.poll_raw(0.2)
        if message is not None:
            outcome |= outcome_of(message, arrived.place, arrived.source, missing)


def repeated_by(
    message: Any,
    source: str,
    wanted: Mapping[str, FileRef],
) -> str:
    """The URI of a wanted file that an earlier acceptance pins in the same version,
    "" for none: ingest takes it no second time.
    """
    accepted = _acceptance(message)
    if accepted is None or accepted.source != source:
        return ""
    ref = wanted.get(accepted.file.uri)
    same = ref is not None and _pin(ref) and _pin(ref) == _pin(accepted.file)
    return accepted.file.uri if same else ""


def _pin(ref: FileRef) -> str:
    return ref.version_id or ref.sha256


def outcome_of(
    message: Any,
    place: Place,
    source: str,
    wanted: Collection[str],
) -> dict[str, str]:
    """What a message that came after the arrival at `place` says of its files."""
    if message.topic() == dead_letter("ingest"):
        return _dead_letters(message, place, set(wanted))
    accepted = _acceptance(message)
    if accepted is None or accepted.source != source or accepted.file.uri not in wanted:
        return {}
    return {accepted.file.uri: ACCEPTED}


def _acceptance(message: Any) -> FileAccepted | None:
    try:
        event = event_of(message)
    except UndecodableEventError:
        return None
    return event if isinstance(event, FileAccepted) else None


def _dead_letters(
    message: Any,
    place: Place,
    wanted: set[str],
) -> dict[str, str]:
    """Reasons by URI when a dead letter came from the event at `place`."""
    headers = _texts(message)
    origin = tuple(headers.get(f"dead_letter_{part}") for part in Place._fields)
    if origin != tuple(map(str, place)):
        return {}
    uris = {headers["x_uri"]} & wanted if headers.get("x_uri") else wanted
    return dict.fromkeys(uris, headers.get("dead_letter_reason", "no reason given"))


def _texts(message: Any) -> dict[str, str]:
    """Its headers."""
    headers = message.headers() or ()
    return {name: (value or b"").decode(errors="replace") for name, value in headers}


def send(
    source: SourceName,
    file: JsonLines = "-",
    data: Data = DEFAULT_DATA,
    timestamp_field: TimestampField = "",
    strict: Strict = False,  # noqa: FBT002
) -> None:
    """Send live records; print the position to ask for, `{source: {partition: offset}}`,
    when Kafka has them all.

    A bad line is sent as it is and becomes a dead letter of ingest, with its reason;
    the others count.
    """
    mesh = running.mesh(data)
    described = mesh.pipeline().source(source)
    with _opened(file) as stream:
        positions, tally = send_lines(
            mesh.settings, described, lines_of(stream), timestamp_field, strict=strict
        )
    as_json(positions)
    note(shown(f"{tally} (source {source})"))
    _check_good(tally)


def _check_good(tally: Sent) -> None:
    """Raises MeshError when lines were not sent, or none was good."""
    if tally.left:
        raise MeshError(f"{tally.left} line(s) were not sent")
    if tally.bad and tally.bad == tally.sent:
        raise MeshError("no line was good")


def _opened(file: str) -> AbstractContextManager[BinaryIO]:
    if file == "-":
        return nullcontext(sys.stdin.buffer)
    if not Path(file).is_file():
        raise SettingsError(f"there is no file {file!r}")
    return Path(file).open("rb")


def seal(
    data: Data = DEFAULT_DATA,
    wait: WaitForViews = False,  # noqa: FBT002
    reason: Reason = "asked on the command line",
    timeout: Timeout = 600.0,
    json: Json = False,  # noqa: FBT002
) -> None:
    """End the current epoch now and run the batch layer."""
    mesh = running.mesh(data)
    views = {view.name for view in mesh.pipeline().views}
    with EventReader(mesh.settings, [topic_of(ViewPublished)], refused=pass_over) as reader:
        before = max(map(_epoch, reader.read_to_end()), default=0)
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


def _epoch(read: tuple[Event, object]) -> int:
    """Of a published view; 0 for any other event."""
    event, _ = read
    return event.epoch if isinstance(event, ViewPublished) else 0


def _await_views(
    reader: EventReader,
    views: set[str],
    before: int,
    timeout_s: float,
    data: Path,
) -> int:
    """The epoch after `before` of which every view is published;
    says so when the batch layer of this host falls or is blocked meanwhile.
    """
    published = defaultdict[int, set[str]](set)
    give_up, batch = time.monotonic() + timeout_s, BatchWatch(data)
    while time.monotonic() < give_up:
        event, _ = reader.poll(0.2) or (None, None)
        batch.look()
        if not isinstance(event, ViewPublished) or event.epoch <= before:
            continue
        published[event.epoch].add(event.view)
        if published[event.epoch] >= views:
            return event.epoch
    why = f": {batch.why}" if batch.why else ""
    raise WaitTimeoutError(
        f"no new batch view of every view within {timeout_s:.0f} s{why}: see twinstream logs batch"
    )
