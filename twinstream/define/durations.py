"""Spans of time as users write them: "90s", "5m", "24h", "30d", "all"."""

from __future__ import annotations

import re

from twinstream.define.location import refuse, shown
from twinstream.protocol.spans import (
    DAY_US,
    HOUR_US,
    LONGEST_WINDOW_US,
    MINUTE_US,
    SECOND_US,
    SHORTEST_WINDOW_US,
)

_UNITS = {"s": SECOND_US, "m": MINUTE_US, "h": HOUR_US, "d": DAY_US, "w": 7 * DAY_US}
_TEXT = re.compile(r"(\d{1,9})([smhdw])", re.ASCII)
ALL = "all"
LONGEST_US = 36_600 * _UNITS["d"]


def microseconds(text: str, what: str) -> int:
    """Length of a span in microseconds; refuses text that is none."""
    match = _TEXT.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        refuse(
            f"{what} {shown(text)} is no span of time",
            'write a number and a unit: "90s", "5m", "24h", "30d" or "2w"',
        )
    length = int(match[1]) * _UNITS[match[2]]
    if length > LONGEST_US:
        refuse(
            f"{what} {text!r} is longer than a century", 'use "all" for a window without a start'
        )
    return length


def window_us(text: str) -> int | None:
    """Length of a window in microseconds, None for "all"."""
    if isinstance(text, str) and text == ALL:
        return None
    length = microseconds(text, "window")
    if length < SHORTEST_WINDOW_US:
        refuse(f"window {text!r} is shorter than the finest tile", 'the shortest window is "5m"')
    if length > LONGEST_WINDOW_US:
        refuse(
            f"window {text!r} is longer than 365 days",
            'the longest window is "365d"; "all" has no start',
        )
    return length
