"""Spans of time as users write them: "90s", "5m", "24h", "30d", "all"."""

from __future__ import annotations

from twinstream.define.location import refuse, shown
from twinstream.protocol.spans import (
    DAY_US,
    LONGEST_WINDOW_US,
    SHORTEST_WINDOW_US,
    span_us,
)

ALL = "all"
LONGEST_US = 36_600 * DAY_US


def microseconds(text: str, what: str) -> int:
    """Length of a span in microseconds; refuses text that is none."""
    length = span_us(text)
    if length is None:
        refuse(
            f"{what} {shown(text)} is not a span of time",
            'write a number and a unit: "90s", "5m", "24h", "30d" or "2w"',
        )
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
