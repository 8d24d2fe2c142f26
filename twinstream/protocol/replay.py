"""Through which door a dead letter comes back: a record and an arrival as they came first,
so that each counts once. Pure.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from schemas.events import DataArrived, FileRef, FileWithdrawn, SealRequested
from schemas.topics import record_sent, topic_of
from twinstream.errors import RecordError

Headers = list[tuple[str, bytes]]
ANNOUNCED = topic_of(DataArrived)
_FROM_USERS = {topic_of(kind) for kind in (DataArrived, FileWithdrawn, SealRequested)}
"""Control topics that users write: their services take a repeat as one."""


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """What a dead letter says of its original; `uri` names the file that it is about,
    "" for none.
    """

    topic: str
    partition: int
    source: str = ""
    uri: str = ""
    key: bytes | None = None
    headers: Headers = []


class Door(msgspec.Struct, frozen=True, kw_only=True):
    """A message to send. `partition` -1: by its key; with `source`, that is the value of the
    source's key field.
    """

    topic: str
    value: bytes
    partition: int = -1
    key: bytes | None = None
    headers: Headers = []
    source: str = ""


def door(origin: Origin, original: bytes, sources: Collection[str], *, corrected: bool) -> Door:
    """The message that brings an original back; `corrected`: its bytes were changed.

    Raises RecordError when there is none.
    """
    live = {record_sent(source): source for source in sources}
    if origin.topic in live:
        return _record(origin, original, live[origin.topic] if corrected else "")
    if origin.topic == ANNOUNCED and origin.uri and not corrected:
        return Door(
            topic=ANNOUNCED,
            value=_only(original, origin.uri),
            key=origin.key,
            headers=origin.headers,
        )
    if origin.topic in _FROM_USERS:
        return Door(topic=origin.topic, value=original, key=origin.key, headers=origin.headers)
    if "://" in origin.topic:
        return _of_file(origin, original, sources)
    raise RecordError(
        f"what came from {origin.topic or 'nowhere'} cannot be replayed: "
        "the mesh itself wrote it, and its other readers have handled it. "
        "When its reader is mended, publish a new one by what made it (twinstream seal, "
        "publish), then drop this letter"
    )


def _record(origin: Origin, original: bytes, keyed_by: str) -> Door:
    """To the partition that it came from, where its id is known;
    a corrected one may belong to another.
    """
    if keyed_by:
        return Door(topic=origin.topic, value=original, headers=origin.headers, source=keyed_by)
    return Door(
        topic=origin.topic,
        value=original,
        partition=origin.partition,
        key=origin.key,
        headers=origin.headers,
    )


def _only(original: bytes, uri: str) -> bytes:
    """The arrival of the refused file alone; the others of the same event were accepted."""
    try:
        event = msgspec.json.decode(original, type=DataArrived)
    except (ValueError, RecursionError) as error:
        raise RecordError(
            f"the original is not an arrival of files: {error}; "
            "announce the file with twinstream publish"
        ) from error
    files = [file for file in event.files if file.uri == uri] or [FileRef(uri=uri, sha256="")]
    return msgspec.json.encode(msgspec.structs.replace(event, files=files))


def _of_file(origin: Origin, original: bytes, sources: Collection[str]) -> Door:
    """A row of a file comes back as a live record, for its file is folded without it and is not
    read again.
    """
    if origin.uri:
        raise RecordError(
            f"{origin.uri} could not be read as a whole: "
            "put a readable object there and announce it with twinstream publish, "
            "then drop this letter"
        )
    if origin.source not in sources:
        raise RecordError(
            f"the row belongs to source {origin.source!r}, which this definition does not have"
        )
    try:
        msgspec.json.decode(original, type=dict[str, msgspec.Raw])
    except (ValueError, RecursionError) as error:
        raise RecordError(
            f"the row is not a JSON object ({error}): "
            "write the record as one and give it with --with FILE; "
            "it then counts as a live record"
        ) from error
    return Door(topic=record_sent(origin.source), value=original, source=origin.source)
