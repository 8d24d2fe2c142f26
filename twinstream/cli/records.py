"""`publish`, `send`, `seal`: what users put into a mesh."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from confluent_kafka import Producer

from deploy.local import state as states
from schemas.events import DataArrived, FileAccepted, FileRef, SealRequested, ViewPublished
from schemas.topics import PARTITIONER, dead_letter, record_sent, topic_of
from twinstream.cli import running
from twinstream.cli.options import DEFAULT_DATA, Data, Json, Timeout
from twinstream.cli.show import as_json, note
from twinstream.define.source import Source
from twinstream.errors import MeshError, PublishError, RecordError, SettingsError, WaitTimeoutError
from twinstream.mesh.clock import WallClock
from twinstream.mesh.events import EventPublisher, EventReader, Place
from twinstream.mesh.object_store import ObjectStore, sha256_of, split_uri
from twinstream.mesh.settings import MeshSettings

SENDER = "/cli"
FORMATS = {".parquet": "parquet", ".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl"}
Positions = dict[str, dict[int, int]]


def publish(
    source: Annotated[str, typer.Argument(help="A source of your definition.")],
    files: Annotated[list[str], typer.Argument(help="Local files, which are uploaded, or s3://bucket/key.", metavar="FILES...")],
    data: Data = DEFAULT_DATA,
    file_format: Annotated[str, typer.Option("--format", help="parquet, csv or jsonl; default: by the name's ending.")] = "",
    wait: Annotated[bool, typer.Option("--wait", help="Until each file is accepted or dead-lettered; exit with 1 if one is dead-lettered.")] = False,  # noqa: FBT002
    timeout: Timeout = 120.0,
    json: Json = False,  # noqa: FBT002
) -> None:
    """Tell the mesh that files of a source have arrived; local ones are put on S3 first, pinned by version and SHA-256."""
    mesh = running.mesh(data)
    mesh.pipeline().source(source)
    refs = [_pinned(mesh.settings, source, file) for file in files]
    event = DataArrived(source=source, files=refs, format=file_format or _format_of(files), arrived_at_us=WallClock().now_us())
    publisher = EventPublisher(mesh.settings, SENDER)
    place = publisher.publish(event, key=source)
    outcome = _await_files(mesh.settings, refs, place, timeout) if wait and place else {}
    if json:
        as_json({"source": source, "files": refs, "outcome": outcome})
    note(f"published {len(refs)} file(s) of {source}" + (f": {_summary(outcome)}" if outcome else ""))
    dead_letters = [f"{uri}: {what}" for uri, what in outcome.items() if what != "accepted"]
    if dead_letters:
        raise MeshError("dead-lettered " + "; ".join(dead_letters))


def _summary(outcome: dict[str, str]) -> str:
    accepted = sum(what == "accepted" for what in outcome.values())
    return f"{accepted} accepted, {len(outcome) - accepted} dead-lettered"


def _pinned(settings: MeshSettings, source: str, file: str) -> FileRef:
    """The reference of an object; a local file is uploaded under a name that holds its digest, so none is overwritten."""
    store = ObjectStore(settings)
    if file.startswith(("s3://", "s3a://")):
        bucket, key = split_uri(file)
        head = store.head(bucket, key)
        return FileRef(uri=f"s3://{bucket}/{key}", sha256="", version_id=head.version_id, size_bytes=head.size_bytes)
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
        raise SettingsError("the files' format is not clear from their names: give --format parquet, csv or jsonl, one format per call")
    return found.pop()


def _await_files(settings: MeshSettings, refs: list[FileRef], place: Place, timeout_s: float) -> dict[str, str]:
    """For each URI `accepted`, or why it was dead-lettered."""
    wanted, outcome = {ref.uri for ref in refs}, dict[str, str]()
    give_up = time.monotonic() + timeout_s
    accepted_topic = topic_of(FileAccepted)
    with EventReader(settings, [accepted_topic, dead_letter("ingest")]) as reader:
        while wanted - set(outcome):
            if time.monotonic() > give_up:
                raise WaitTimeoutError(f"{len(wanted - set(outcome))} file(s) neither accepted nor dead-lettered after {timeout_s:.0f} s: "
                                       "is ingest up? See twinstream status")
            message = reader.poll_raw(0.2)
            if message is None:
                continue
            if message.topic() == accepted_topic:
                uri = msgspec.json.decode(message.value(), type=FileAccepted).file.uri
                outcome |= {uri: "accepted"} if uri in wanted else {}
            else:
                outcome |= _dead_letters(message, place, wanted - set(outcome))
    return outcome


def _dead_letters(message: Any, place: Place, wanted: set[str]) -> dict[str, str]:
    """Reasons by URI when a dead letter came from the event at `place`."""
    headers = {name: (value or b"").decode(errors="replace") for name, value in message.headers() or ()}
    origin = (headers.get("dead_letter_topic"), headers.get("dead_letter_partition"), headers.get("dead_letter_offset"))
    if origin != (place.topic, str(place.partition), str(place.offset)):
        return {}
    uris = {headers["x_uri"]} & wanted if headers.get("x_uri") else wanted
    return dict.fromkeys(uris, headers.get("dead_letter_reason", "no reason given"))


def send(
    source: Annotated[str, typer.Argument(help="A source of your definition.")],
    file: Annotated[str, typer.Argument(help="JSON lines; - is standard input.")] = "-",
    data: Data = DEFAULT_DATA,
    timestamp_field: Annotated[
        str, typer.Option(help="Field whose time becomes the message's (for a mesh with TWINSTREAM_CLOCK=replay).")] = "",
) -> None:
    """Send live records; print the position to ask for, `{source: {partition: offset}}`, when Kafka has them all."""
    mesh = running.mesh(data)
    described = mesh.pipeline().source(source)
    if file != "-" and not Path(file).is_file():
        raise SettingsError(f"there is no file {file!r}")
    lines: Iterable[bytes] = sys.stdin.buffer if file == "-" else Path(file).read_bytes().splitlines()
    positions, sent = send_lines(mesh.settings, described, lines, timestamp_field)
    as_json(positions)
    note(f"sent {sent} record(s) to {source}")


def send_lines(settings: MeshSettings, source: Source, lines: Iterable[bytes], timestamp_field: str = "") -> tuple[Positions, int]:
    """Send each line as it is, keyed by the source's key; return the highest offsets and the number of records.

    Raises RecordError for a line that is no JSON object (those before it are sent), PublishError when Kafka does not take one.
    """
    reached: dict[int, int] = {}
    failures: list[str] = []

    def done(error: Any, message: Any) -> None:
        if error is not None:
            failures.append(error.str())
        else:
            reached[message.partition()] = max(reached.get(message.partition(), -1), message.offset())

    producer = Producer(settings.kafka_client(
        acks="all", enable_idempotence=True, linger_ms=5, compression_type="lz4", partitioner=PARTITIONER))
    sent = 0
    try:
        for key, line, stamp in _keyed(source, lines, timestamp_field):
            _produce(producer, record_sent(source.name), key=key, value=line, on_delivery=done, **({"timestamp": stamp} if stamp else {}))
            sent += 1
    finally:
        left = producer.flush(60)
    if failures or left:
        raise PublishError(f"{len(failures) + left} of {sent} record(s) not taken: {failures[0] if failures else 'no answer in 60 s'}")
    return {source.name: reached}, sent


def _produce(producer: Producer, topic: str, **message: Any) -> None:
    while True:
        try:
            producer.produce(topic, **message)
        except BufferError:
            producer.poll(0.1)
        else:
            producer.poll(0)
            return


def _keyed(source: Source, lines: Iterable[bytes], timestamp_field: str) -> Iterator[tuple[bytes | None, bytes, int]]:
    """(key, line, timestamp in ms or 0) of each line that is not blank."""
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    for number, raw in enumerate(lines, start=1):
        line = raw.strip()
        if not line:
            continue
        try:
            record = decode(line)
        except msgspec.DecodeError as error:
            raise RecordError(f"line {number} is not a JSON object: {error}; the {number - 1} line(s) before it are sent") from error
        key = record.get(source.key)
        yield (None if key is None else str(key).encode()), line, _millis(record, timestamp_field, number) if timestamp_field else 0


def _millis(record: dict[str, Any], field: str, number: int) -> int:
    """A record's time: microseconds since 1970, or ISO 8601 (UTC when it names no zone)."""
    value = record.get(field)
    if isinstance(value, int):
        return value // 1000
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        raise RecordError(f"line {number}: {field} is {value!r}, which is no time: write 2013-10-01T12:00:00Z or microseconds") from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def seal(
    data: Data = DEFAULT_DATA,
    wait: Annotated[bool, typer.Option("--wait", help="Until the batch view of every view is published.")] = False,  # noqa: FBT002
    reason: Annotated[str, typer.Option(help="Why, for the log.")] = "asked on the command line",
    timeout: Timeout = 600.0,
    json: Json = False,  # noqa: FBT002
) -> None:
    """End the current epoch now and run the batch layer."""
    mesh = running.mesh(data)
    views = {view.name for view in mesh.pipeline().views}
    with EventReader(mesh.settings, [topic_of(ViewPublished)]) as reader:
        before = max((event.epoch for event, _ in reader.read_to_end() if isinstance(event, ViewPublished)), default=0)
        EventPublisher(mesh.settings, SENDER).publish(SealRequested(reason=reason, requested_at_us=WallClock().now_us()))
        epoch = _await_views(reader, views, before, timeout, data) if wait else None
    if json:
        as_json({"epoch": epoch, "views": sorted(views) if wait else []})
    note(f"epoch {epoch}: {len(views)} views published" if wait else "asked for the end of the epoch; see twinstream watch")


def _restarts(data: Path) -> int:
    """How often the batch layer of the mesh in this folder was started again; 0 where there is none."""
    state = states.read(data.absolute())
    return state.services["batch"].restarts if state is not None and state.running and "batch" in state.services else 0


def _await_views(reader: EventReader, views: set[str], before: int, timeout_s: float, data: Path) -> int:
    """The epoch after `before` of which every view is published; says so when the batch layer of this host falls meanwhile."""
    published: dict[int, set[str]] = {}
    give_up, told = time.monotonic() + timeout_s, _restarts(data)
    while time.monotonic() < give_up:
        found = reader.poll(0.2)
        if (restarts := _restarts(data)) > told:
            told = restarts
            note("batch ended and is started again, and does its step again: if it goes on so, see twinstream logs batch")
        if found is None or not isinstance(found[0], ViewPublished) or found[0].epoch <= before:
            continue
        published.setdefault(found[0].epoch, set()).add(found[0].view)
        if published[found[0].epoch] >= views:
            return found[0].epoch
    raise WaitTimeoutError(f"no new batch view of every view within {timeout_s:.0f} s: see twinstream logs batch")
