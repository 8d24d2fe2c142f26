"""Where what cannot be handled goes: the original bytes, with why and from where,
in `<service>.dead-letter.v1`.
"""

# The Kafka value is the original, byte for byte; all else is in the headers.
# Originals too large for a message lie on S3.

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import Any, Literal

import msgspec

from schemas.topics import dead_letter, dead_letter_prefix
from twinstream.mesh.events import EventPublisher, Headers, cloud_headers, headers_of
from twinstream.mesh.object_store import ObjectStore
from twinstream.mesh.settings import MeshSettings

MAX_REASON_CHARS = 2000
MAX_TRACE_CHARS = 8000
MAX_ORIGINAL_BYTES = 4_000_000
"""A larger original goes to S3, and its dead letter names it."""
MAX_HEADER_BYTES = 4096
MAX_CARRIED_BYTES, MAX_KEY_BYTES = 1_000_000, 2_000_000
"""Of an original's headers together, and of its key. What is beyond is left out, and how much: a
dead letter that fits no message would stop its service.
"""
Kind = Literal["permanent", "bug"]


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Where an input was read: a message of a topic, or a row of a file (topic: its URI,
    partition: its number, offset: its row).
    """

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]@{self.offset}"


def origin_of(message: Any) -> Origin:
    """The origin of a message that confluent-kafka gave."""
    return Origin(topic=message.topic(), partition=message.partition(), offset=message.offset())


class DeadLetters:
    """Writes the dead letters of one service."""

    def __init__(
        self,
        settings: MeshSettings,
        service: str,
        publisher: EventPublisher | None = None,
    ) -> None:
        self._settings, self._service, self._topic = settings, service, dead_letter(service)
        self._source = f"/{service}"
        self._publisher = publisher or EventPublisher(settings, self._source)

    def put(
        self,
        original: bytes,
        reason: str,
        *,
        topic: str,
        partition: int,
        offset: int,
        wait: bool = True,
        kind: Kind = "permanent",
        trace: str = "",
        carried: Headers = (),
        key: bytes | None = None,
        **extra: object,
    ) -> None:
        """Publish `original`; with `wait`, return when Kafka has it.

        `carried` and `key` are the original's own headers and key, which a replay needs;
        `extra` becomes headers `x_<name>`. Raises PublishError, or StorageUnavailableError for a
        large original while S3 is away.
        """
        headers = cloud_headers("DeadLettered", self._source, "application/octet-stream")
        facts: dict[str, object] = {
            "reason": reason[:MAX_REASON_CHARS],
            "topic": topic,
            "partition": partition,
            "offset": offset,
            "kind": kind,
        }
        value, overflow = self._within(original)
        headers += _facts(facts | overflow)
        headers += [("dead_letter_trace", _text(trace[-MAX_TRACE_CHARS:]))] if trace else []
        headers += _key(key) + _carried(carried) + _extra(extra)
        self._publisher.publish_raw(self._topic, value, f"{topic}/{partition}", headers, wait=wait)

    def put_message(
        self,
        message: Any,
        reason: str,
        *,
        kind: Kind = "permanent",
        trace: str = "",
        **extra: object,
    ) -> None:
        """Publish a message that confluent-kafka gave, with its key and headers, and wait until
        Kafka has it.
        """
        self.put(
            message.value() or b"",
            reason,
            topic=message.topic(),
            partition=message.partition(),
            offset=message.offset(),
            kind=kind,
            trace=trace,
            carried=headers_of(message),
            key=message.key(),
            **extra,  # type: ignore[arg-type]
        )

    def flush(self) -> None:
        """Return when Kafka has every dead letter so far."""
        self._publisher.flush()

    @cached_property
    def _store(self) -> ObjectStore:
        return ObjectStore(self._settings)

    def _within(self, original: bytes) -> tuple[bytes, dict[str, object]]:
        """What fits a message, and for what does not, where on S3 it lies."""
        if len(original) <= MAX_ORIGINAL_BYTES:
            return original, {}
        digest = hashlib.sha256(original).hexdigest()
        uri = f"s3://{self._settings.bucket}/{dead_letter_prefix(self._service)}/{digest}"
        self._store.put_uri(uri, original)
        return b"", {"uri": uri, "bytes": len(original)}


def _facts(facts: dict[str, object]) -> list[tuple[str, bytes]]:
    return [(f"dead_letter_{name}", _text(value)) for name, value in facts.items()]


def _extra(extra: dict[str, object]) -> list[tuple[str, bytes]]:
    return [(f"x_{name}", _text(value)[:MAX_HEADER_BYTES]) for name, value in extra.items()]


def _key(key: bytes | None) -> list[tuple[str, bytes]]:
    if key is None:
        return []
    if len(key) > MAX_KEY_BYTES:
        return [("dead_letter_key_bytes", _text(len(key)))]
    return [("dead_letter_key", key)]


def _carried(headers: Headers) -> list[tuple[str, bytes]]:
    """The original's own headers, in their order, as long as there is room."""
    kept: list[tuple[str, bytes]] = []
    room = MAX_CARRIED_BYTES
    for name, value in headers:
        header = (f"original_{name}", (value or b"")[:MAX_HEADER_BYTES])
        room -= len(header[0].encode()) + len(header[1])
        if room < 0:
            return [*kept, ("dead_letter_headers_left_out", _text(len(headers) - len(kept)))]
        kept.append(header)
    return kept


def _text(value: object) -> bytes:
    return str(value).encode(errors="replace")
