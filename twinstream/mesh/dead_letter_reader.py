"""Reads dead letters: what each is a letter of, its original bytes wherever they lie,
and which of them a user has dealt with.
"""

# Anybody may write to these topics, so nothing in a letter is believed:
# odd headers become text, and every letter can be listed.

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any, Self

import msgspec
from confluent_kafka import Consumer, TopicPartition

from schemas.events import DeadLetterResolved
from schemas.topics import SERVICES, dead_letter, dead_letter_prefix, topic_of
from twinstream.errors import ObjectMissingError, SettingsError
from twinstream.mesh.events import EventReader, pass_over
from twinstream.mesh.kafka.positions import range_of
from twinstream.mesh.object_store import ObjectStore
from twinstream.mesh.settings import MeshSettings

WAIT_S = 10.0
_SERVICE_OF = {dead_letter(service): service for service in SERVICES}


class LetterId(msgspec.Struct, frozen=True, order=True):
    """Where a dead letter is in the dead-letter topic of its service."""

    service: str
    partition: int
    offset: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Of `service/partition/offset`; raises SettingsError."""
        service, *numbers = text.split("/")
        if service in SERVICES and len(numbers) == 2 and all(map(_is_number, numbers)):
            return cls(service, int(numbers[0]), int(numbers[1]))
        raise SettingsError(
            f"{text[:80]!r} does not name a dead letter: "
            "write SERVICE/PARTITION/OFFSET as twinstream dead-letters list does"
        )

    def __str__(self) -> str:
        return f"{self.service}/{self.partition}/{self.offset}"


def _is_number(text: str) -> bool:
    """Of at most 18 digits, as an int64 has."""
    return text.isascii() and text.isdigit() and len(text) <= 18


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """One dead letter. `facts` are its own headers without `dead_letter_`, `carried` those of its
    original, `value` what the message holds.
    """

    id: LetterId
    at_us: int
    facts: dict[str, str]
    carried: list[tuple[str, bytes]]
    key: bytes | None
    value: bytes

    def fact(self, name: str) -> str:
        """A header of its own as text, "" when it has none."""
        return self.facts.get(name, "")

    @property
    def origin(self) -> str:
        """What it is a letter of, as people write it."""
        return f"{self.fact('topic')}[{self.fact('partition')}]@{self.fact('offset')}"

    @property
    def size(self) -> int:
        """Bytes of its original."""
        large = self.fact("bytes")
        return (
            int(large)
            if large.isascii() and large.isdigit() and len(large) <= 18
            else len(self.value)
        )

    @property
    def place(self) -> bytes:
        """The same for two letters of one input."""
        facts = [self.fact(name) for name in ("topic", "partition", "offset", "x_uri")]
        own = str(self.id) if not self.fact("topic") else ""
        of = (self.id.service, *facts, own)
        return hashlib.blake2b(msgspec.json.encode(of), digest_size=16).digest()


def letter_of(message: Any) -> Letter:
    """The letter that a message of a dead-letter topic holds, whatever its headers are."""
    facts, carried, key = _sorted_headers(message)
    return Letter(
        id=LetterId(_SERVICE_OF[message.topic()], message.partition(), message.offset()),
        at_us=max(0, message.timestamp()[1]) * 1000,
        facts=facts,
        carried=carried,
        key=key,
        value=message.value() or b"",
    )


def _sorted_headers(message: Any) -> tuple[dict[str, str], list[tuple[str, bytes]], bytes | None]:
    """What is said of the original, its own headers, and its key."""
    facts, carried, key = dict[str, str](), list[tuple[str, bytes]](), None
    for name, value in _headers(message):
        if name.startswith("original_"):
            carried.append((name.removeprefix("original_"), value))
        elif name == "dead_letter_key":
            key = value
        else:
            facts[name.removeprefix("dead_letter_")] = value.decode(errors="backslashreplace")
    return facts, carried, key


def _headers(message: Any) -> list[tuple[str, bytes]]:
    """None when their names are not text."""
    try:
        return [(name, value or b"") for name, value in message.headers() or ()]
    except UnicodeDecodeError:
        return []


def letters(settings: MeshSettings, services: tuple[str, ...] = SERVICES) -> Iterator[Letter]:
    """All letters up to now, each input's first one, oldest first within a service;
    one at a time, however many there are.
    """
    with EventReader(settings, [dead_letter(service) for service in services]) as reader:
        yield from first_of_each(map(letter_of, reader.messages_to_end()))


def first_of_each(found: Iterable[Letter]) -> Iterator[Letter]:
    """The first letter of each input: one that is handled again may leave several."""
    seen: set[bytes] = set()
    for letter in found:
        if letter.place not in seen:
            seen.add(letter.place)
            yield letter


def letter_at(settings: MeshSettings, where: LetterId) -> Letter:
    """One letter; raises ObjectMissingError when it is not there, or not any more."""
    consumer = Consumer(
        settings.kafka_client(
            group_id="dead-letters", enable_auto_commit=False, fetch_message_max_bytes=8_000_000
        )
    )
    try:
        message = _message_at(consumer, where)
    finally:
        consumer.close()
    if message is None or message.error() is not None:
        raise ObjectMissingError(
            f"dead letter {where} was not read within {WAIT_S:.0f} s: see twinstream status"
        )
    return letter_of(message)


def _message_at(consumer: Consumer, where: LetterId) -> Any:
    partition = TopicPartition(dead_letter(where.service), where.partition, where.offset)
    low, high = range_of(consumer, partition.topic, partition.partition, WAIT_S)
    if not low <= where.offset < high:
        raise ObjectMissingError(
            f"there is no dead letter {where}: its topic holds {low} to {high - 1}; "
            "older ones are deleted after 30 days"
        )
    consumer.assign([partition])
    return consumer.poll(WAIT_S)


def original_of(settings: MeshSettings, letter: Letter) -> bytes:
    """The original's bytes, from the message or from S3; a letter that names another's object is
    not believed.
    """
    uri = letter.fact("uri")
    if not uri.startswith(f"s3://{settings.bucket}/{dead_letter_prefix(letter.id.service)}/"):
        return letter.value
    return ObjectStore(settings).get_uri(uri)


def resolved(settings: MeshSettings) -> dict[LetterId, str]:
    """How users dealt with letters: `replayed` or `dropped`, the last word counts."""
    found = dict[LetterId, str]()
    with EventReader(settings, [topic_of(DeadLetterResolved)], refused=pass_over) as reader:
        for event, _ in reader.read_to_end():
            if isinstance(event, DeadLetterResolved):
                found[LetterId(event.service, event.partition, event.offset)] = event.how
    return found
