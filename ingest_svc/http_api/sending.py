"""Checks records and hands the good ones to Kafka; pure but for the `Raw` port."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from ingest_svc.validation import Screen
from twinstream.define.source import Source
from twinstream.protocol.record_key import key_of_each


class Raw(Protocol):
    """The raw topics."""

    def send(self, source: str, records: Sequence[tuple[bytes | None, bytes]]) -> dict[int, int]:
        """Send (key, value) pairs; when Kafka has all of them, return the highest offset by
        partition. Raises PublishError.
        """


class Rejected(msgspec.Struct, frozen=True):
    """One record that was not taken, and why."""

    index: int
    """Its place in the request, from 0."""
    reason: str
    """The field, and what is wrong with it."""


MOST_REASONS = 100


class Receipt(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of a request; `rejected` names the first of the `rejections`.
    `position`, by source and partition: a reader's `min_position` for all of these records.
    """

    accepted: int
    """Records that Kafka has."""
    rejected: list[Rejected]
    """The first hundred that were not taken."""
    position: dict[str, dict[int, int]]
    """By source and partition the highest raw offset: a reader's `min_position`."""
    rejections: int = 0
    """How many were not taken."""


class Gate(msgspec.Struct, frozen=True):
    """One source: its definition and its checks."""

    source: Source
    screen: Screen


def send_records(
    gates: Mapping[str, Gate],
    source: str,
    values: Sequence[bytes],
    raw: Raw,
) -> Receipt:
    """Send the good records; the others are told one by one.

    Raises KeyError for a source that is not defined.
    """
    gate = gates[source]
    screened = gate.screen.screen(values)
    good = [values[i] for i in screened.index.tolist()]
    pairs = list(zip(key_of_each(gate.source, screened.batch), good, strict=True))
    position = {source: raw.send(source, pairs)} if pairs else {}
    named = [Rejected(i, reason) for i, reason in screened.rejected[:MOST_REASONS]]
    return Receipt(len(pairs), named, position, len(screened.rejected))
