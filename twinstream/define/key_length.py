"""How long a key may be, and whether any value of its fields would fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from twinstream.define.fields.base import FieldType
from twinstream.define.location import Location, refuse

LONGEST_KEY = 480
"""Bytes: the store of views takes 511, of which a chunk takes 5."""


def widest(fields: Sequence[str], types: Mapping[str, FieldType]) -> int:
    """Bytes of the longest key of these fields; more than LONGEST_KEY with text among them."""
    return _separators(fields) + sum(types[name].key_bytes[1] for name in fields)


def check_key(
    fields: Sequence[str],
    types: Mapping[str, FieldType],
    what: str,
    at: Location | None = None,
) -> None:
    """Refuses a key that no values of its fields could fit in; that a record's values do not is
    seen when it comes.
    """
    least = _separators(fields) + sum(types[name].key_bytes[0] for name in fields)
    if least > LONGEST_KEY:
        refuse(
            f"{what} has {len(fields)} fields: no key of them fits in {LONGEST_KEY} bytes",
            "take fewer fields",
            at,
        )


def _separators(fields: Sequence[str]) -> int:
    return len(fields) - 1
