"""Sends lines as live records, in constant memory. A bad line is sent as it is:
ingest makes it a dead letter, as of any producer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, BinaryIO

import msgspec

from schemas.plausible import FIRST_US, LAST_US
from schemas.topics import PARTITIONER, record_sent
from twinstream.define.source import Source
from twinstream.errors import MessageRefusedError, PublishError, RecordError
from twinstream.files.encoding import BOM
from twinstream.files.json_lines import LINE_END
from twinstream.mesh.kafka.errors import MESSAGE_BYTES
from twinstream.mesh.kafka.producer import KafkaProducer
from twinstream.mesh.settings import MeshSettings
from twinstream.protocol.record_key import key_of

Positions = dict[str, dict[int, int]]
LONGEST_BYTES = 7_000_000
"""A longer line fits no message."""
READ_BYTES = 1 << 20
FLUSH_S, POLL_S = 60, 0.5
KEPT_REASONS = 3
exact_record = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)


class Line(msgspec.Struct, frozen=True):
    """One line that is not blank. `stamp_ms` 0: the broker's or the producer's time.
    `problem` says what is wrong with it, "" for nothing.
    """

    number: int
    data: bytes
    key: bytes | None = None
    stamp_ms: int = 0
    problem: str = ""

    @property
    def fits(self) -> bool:
        return len(self.data) <= LONGEST_BYTES


class Sent(msgspec.Struct):
    """What became of the lines: `sent` counts all that Kafka has, `bad` those of them that ingest
    will refuse; `left` had no way to Kafka.
    """

    reached: dict[int, int] = {}
    sent: int = 0
    bad: int = 0
    left: int = 0
    reasons: list[str] = []
    refused: int = 0
    refusal: str = "no answer in 60 s"

    def tell(self, reason: str) -> None:
        """Keep the first reasons."""
        if len(self.reasons) < KEPT_REASONS:
            self.reasons.append(reason)

    def __str__(self) -> str:
        bad = (
            f"{self.bad} of them bad: ingest makes each a dead letter, "
            "see twinstream dead-letters list"
        )
        parts = [f"sent {self.sent} record(s)"]
        parts += [bad] if self.bad else []
        parts += [f"{self.left} line(s) not sent"] if self.left else []
        return "; ".join([*parts, *self.reasons])


def lines_of(stream: BinaryIO) -> Iterator[bytes]:
    """Lines, ended as in files, in constant memory: of one that is too long, its beginning,
    longer than LONGEST_BYTES.
    """
    rest, first = b"", True
    while raw := stream.readline(READ_BYTES):
        data = rest + (raw.removeprefix(BOM) if first else raw)
        first = False
        *whole, rest = LINE_END.split(data)
        yield from whole
        rest = rest[: LONGEST_BYTES + 1]
    if rest:
        yield rest


def send_lines(
    settings: MeshSettings,
    source: Source,
    lines: Iterable[bytes],
    timestamp_field: str = "",
    *,
    strict: bool = False,
) -> tuple[Positions, Sent]:
    """Send each line as it is, keyed by the source's key; return the highest offsets and what
    became of the lines.

    Raises RecordError for the first bad line when `strict` (those before it are sent),
    PublishError when Kafka does not take one.
    """
    tally = Sent(reached={}, reasons=[])
    producer = _producer(settings)
    try:
        for line in keyed(source, lines, timestamp_field):
            if strict and line.problem:
                raise RecordError(
                    f"line {line.number}: {line.problem}; the lines before it are sent"
                )
            _send(producer, record_sent(source.name), line, tally)
    finally:
        left = _flush(producer)
    if tally.refused or left:
        raise PublishError(
            f"{tally.refused + left} of {tally.sent} record(s) not taken: {tally.refusal}"
        )
    return {source.name: tally.reached}, tally


def _producer(settings: MeshSettings) -> KafkaProducer:
    return KafkaProducer(
        settings.kafka_client(
            acks="all",
            enable_idempotence=True,
            linger_ms=5,
            compression_type="lz4",
            partitioner=PARTITIONER,
            message_max_bytes=MESSAGE_BYTES,
        )
    )


def _send(
    producer: KafkaProducer,
    topic: str,
    line: Line,
    tally: Sent,
) -> None:
    if line.problem:
        tally.tell(f"line {line.number}: {line.problem}")
    if not line.fits:
        tally.left += 1
        return
    stamp: dict[str, Any] = {"timestamp": line.stamp_ms} if line.stamp_ms else {}
    try:
        producer.enqueue(
            topic,
            FLUSH_S,
            key=line.key,
            value=line.data,
            on_delivery=lambda error, message: _noted(tally, error, message),
            **stamp,
        )
    except MessageRefusedError as error:
        tally.tell(f"line {line.number}: {error}")
        tally.left += 1
        return
    producer.poll(0)
    tally.sent += 1
    tally.bad += bool(line.problem)


def _noted(
    tally: Sent,
    error: Any,
    message: Any,
) -> None:
    if error is not None:
        tally.refused, tally.refusal = tally.refused + 1, error.str()
    else:
        tally.reached[message.partition()] = max(
            tally.reached.get(message.partition(), -1), message.offset()
        )


def _flush(producer: KafkaProducer) -> int:
    """How many messages have no answer; in short waits, between which Ctrl-C is heard."""
    left = 0
    for _ in range(int(FLUSH_S / POLL_S)):
        left = producer.flush(POLL_S)
        if not left:
            break
    return left


def keyed(
    source: Source,
    lines: Iterable[bytes],
    timestamp_field: str = "",
) -> Iterator[Line]:
    """Each line that is not blank, with its key and time.

    A bad one keeps the time of the line before it, so that it moves no clock.
    """
    stamp = 0
    for number, raw in enumerate(lines, start=1):
        data = raw.strip()
        if not data:
            continue
        line = _line(source, number, data, timestamp_field, stamp)
        stamp = line.stamp_ms
        yield line


def _line(
    source: Source,
    number: int,
    data: bytes,
    timestamp_field: str,
    stamp: int,
) -> Line:
    if len(data) > LONGEST_BYTES:
        return Line(
            number,
            data,
            stamp_ms=stamp,
            problem=f"longer than {LONGEST_BYTES} bytes, which fits no message",
        )
    try:
        record = exact_record.decode(data)
    except (ValueError, RecursionError) as error:
        return Line(number, data, stamp_ms=stamp, problem=f"not a JSON object: {error}")
    key_bytes = key_of(source, record)
    try:
        return Line(
            number, data, key_bytes, millis(record, timestamp_field) if timestamp_field else 0
        )
    except RecordError as error:
        return Line(number, data, key_bytes, stamp, str(error))


def millis(record: dict[str, Any], field: str) -> int:
    """A record's time: microseconds since 1970, or ISO 8601 (UTC when it names no zone).
    Raises RecordError.
    """
    value: Any = record.get(field)
    try:
        us = _time_us(value)
    except (ValueError, TypeError, OverflowError):
        raise RecordError(
            f"{field} is {str(value)[:80]!r}, which is no time: "
            "write 2013-10-01T12:00:00Z or microseconds"
        ) from None
    if not FIRST_US <= us <= LAST_US:
        raise RecordError(f"{field} is {str(value)[:80]!r}, which is not of the years 1900 to 2200")
    return us // 1000


def _time_us(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return int(zoned(datetime.fromisoformat(value)).timestamp() * 1000) * 1000


def zoned(moment: datetime) -> datetime:
    """UTC when it names no zone."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
