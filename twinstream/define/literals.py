"""Plain values beside an expression: as which kind they are taken, and how two numbers come to
have the same decimal places.
"""

from __future__ import annotations

from decimal import Decimal as Exact
from typing import Any

from twinstream.define.kinds import BOOL, NUMBER, ValueKind
from twinstream.define.limits import LIMIT, MAX_PLACES
from twinstream.define.location import refuse, shown
from twinstream.define.plain import scaled


def literal_of(value: Any, beside: ValueKind, text: str) -> tuple[ValueKind, int, Any]:
    """(kind, decimal places, stored form) of a plain value beside an expression of a kind, whose
    text is given; refuses what cannot be compared with it.
    """
    if isinstance(value, bool):
        return BOOL, 0, value
    found = beside.literal(value)
    if found is not None:
        return beside, 0, found
    if isinstance(value, (int, float, Exact)):
        return NUMBER, *_number(value)
    return refuse(
        f"{shown(value)} cannot be compared with {text}, a {beside.name}",
        "use .is_null() to look for null" if value is None else "",
    )


def rescaled(
    value: int,
    factor: int,
    places: int,
    text: str,
) -> int:
    """A literal, whose text is given, with more decimal places; refuses what gets too large."""
    if abs(value * factor) > LIMIT:
        refuse(
            f"{text} is too large beside a number of {places} decimal places",
            "the magnitude of a number is at most 2**62 units of its last place",
        )
    return value * factor


def _number(value: float | Exact) -> tuple[int, int]:
    """(decimal places, whole number): numbers keep the places that they are written with."""
    whole, places = scaled(value)
    if not 0 <= places <= MAX_PLACES or abs(whole) > LIMIT:
        refuse(
            f"{shown(value)} has more digits than are kept",
            f"at most {MAX_PLACES} decimal places and magnitude 2**62",
        )
    return places, whole
