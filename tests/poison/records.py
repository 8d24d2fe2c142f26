"""Odd live records of a source, made from its fields by a seeded generator:
no two runs of one seed differ.

Most are wrong in one way, some are right in an odd way; which of the two is for the decoder to say
and for the ledger to count.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

from twinstream.define import Source

HUGE_BYTES = 2_000_000
DEPTH = 5_000
Record = dict[str, Any]
Poison = tuple[bytes | None, bytes | None]
"""Key and value of a Kafka message."""

VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    2**53 + 1,
    2**62,
    2**62 + 1,
    2**63,
    -(2**63) - 1,
    10**400,
    1.5,
    -0.0,
    1e308,
    5e-324,
    "",
    " ",
    "NA",
    "NULL",
    "nan",
    "Infinity",
    "-inf",
    "0x10",
    "1e5",
    "²",
    "٣",
    "\x00",
    "\x1f",
    "\ud800",
    "\U0001f600",
    "é" * 300,
    "a" * 481,
    "a" * 100_000,
    "1066-10-14T09:00:00Z",
    "9999-12-31T23:59:59Z",
    "2062-01-01T00:00:00Z",
    "2024-02-30T00:00:00Z",
    "2024-01-01",
    "24:00",
    [],
    {},
    [1],
    {"a": 1},
    [[[]]],
    {"": {"": {}}},
)
RAW: tuple[bytes, ...] = (
    b"",
    b" ",
    b"null",
    b"true",
    b"1",
    b'"text"',
    b"[]",
    b"{}",
    b"{",
    b"}",
    b"[{}]",
    b'{"a":1}{"b":2}',
    b"NaN",
    b"{'a': 1}",
    b"\xff\xfe{\x00}\x00",
    b"\xef\xbb\xbf{}",
    b"\x00" * 64,
    b"\x80\x81\x82",
    b"[" * DEPTH,
    b'{"a":' * DEPTH,
    b"{" + b" " * HUGE_BYTES + b"}",
    b'{"a": 1e999}',
    b'{"a": NaN}',
    b'{"a": 1, "a": 2}',
    b"\x89PNG\r\n\x1a\n",
    b"PAR1" * 8,
    b"<xml/>",
    b"a,b\n1,2",
    b"twinstream",
)


def poison(source: Source, good: Callable[[], Record], seed: int) -> Iterator[Poison]:
    """Endless odd messages; `good` makes a right record, which is then spoilt."""
    dice = random.Random(seed)
    makers = (
        _any_bytes,
        _one_value,
        _one_value,
        _one_value,
        _missing,
        _renamed,
        _twice,
        _cut,
        _flipped,
        _tombstone,
        _as_list,
    )
    while True:
        record = good()
        value = dice.choice(makers)(dice, source, record)
        yield (
            dice.choice((None, b"", b"key", b"\xff" * 8, str(record.get(source.key)).encode())),
            value,
        )


def _any_bytes(dice: random.Random, _: Source, __: Record) -> bytes:
    return dice.choice(RAW)


def _one_value(dice: random.Random, source: Source, record: Record) -> bytes:
    return encoded(record | {dice.choice(list(source.fields)): dice.choice(VALUES)})


def _missing(dice: random.Random, source: Source, record: Record) -> bytes:
    record.pop(dice.choice(list(source.fields)), None)
    return encoded(record)


def _renamed(dice: random.Random, source: Source, record: Record) -> bytes:
    name = dice.choice(list(source.fields))
    record[name.upper()] = record.pop(name, None)
    return encoded(record)


def _twice(dice: random.Random, source: Source, record: Record) -> bytes:
    """One field twice, with two values."""
    name = dice.choice(list(source.fields))
    return (
        encoded(record)[:-1]
        + f", {json.dumps(name)}: {json.dumps(dice.choice((1, None, 'x')))}}}".encode()
    )


def _cut(dice: random.Random, _: Source, record: Record) -> bytes:
    whole = encoded(record)
    return whole[: dice.randrange(len(whole))]


def _flipped(dice: random.Random, _: Source, record: Record) -> bytes:
    whole = bytearray(encoded(record))
    whole[dice.randrange(len(whole))] ^= 1 << dice.randrange(8)
    return bytes(whole)


def _tombstone(_: random.Random, __: Source, ___: Record) -> None:
    return None


def _as_list(_: random.Random, __: Source, record: Record) -> bytes:
    return b"[" + encoded(record) + b"]"


def encoded(record: Record) -> bytes:
    """JSON, also of what is not finite and of half a surrogate pair."""
    return json.dumps(record).encode("utf-8", "surrogatepass")
