"""Every sender gives a live record the same Kafka key: that of the value which will be stored."""

from __future__ import annotations

import json
from typing import Any

import pytest

from twinstream import Bool, Decimal, Int, Source, String, Timestamp
from twinstream.algebra import keys
from twinstream.define.cleaning import clip, lower, strip
from twinstream.define.fields.base import FieldType
from twinstream.define.records import Decoder
from twinstream.protocol.record_key import key_of, key_of_each

PARTITIONS = 7


def source(kind: FieldType, *rules: Any) -> Source:
    return Source(
        "s",
        id="id",
        key="key",
        event_time="at",
        fields={"id": String(), "key": kind, "at": Timestamp()},
        clean={"key": list(rules)} if rules else {},
    )


def partition(key: bytes | None) -> int:
    assert key is not None
    return keys.partition_of(key, PARTITIONS)


@pytest.mark.parametrize(
    ("kind", "rules", "spellings"),
    [
        (Bool(), (), [True]),
        (Int(), (), [10, 10.0, 1e1]),
        (Int(), (clip(0, 5),), [5, 9, 1_000_000]),
        (Decimal(2), (), ["1.5", 1.5, "1.50", "15e-1"]),
        (Timestamp(), (), ["2024-01-01T00:00:00Z", "2024-01-01T01:00:00+01:00", 1704067200000000]),
        (String(), (), ["ä b"]),
        (String(), (strip, lower), ["a", " A", "\tA\n"]),
    ],
)
def test_the_command_and_http_send_a_record_to_one_partition(
    kind: FieldType, rules: tuple[Any, ...], spellings: list[Any]
) -> None:
    """`twinstream send` keys one record as JSON gives it, HTTP a decoded batch."""
    found = source(kind, *rules)
    records = [{"id": "x", "key": spelling, "at": 0} for spelling in spellings]
    batch = Decoder(found).json([json.dumps(record).encode() for record in records]).batch
    by_http = key_of_each(found, batch)
    assert [key_of(found, record) for record in records] == by_http
    assert len({partition(key) for key in by_http}) == 1


@pytest.mark.parametrize("value", [None, [], "x", 1.5])
def test_a_key_that_does_not_fit_is_none(value: object) -> None:
    assert key_of(source(Int()), {"key": value}) is None
