"""Spans of time in microseconds, and the shortest and longest window that a view may have."""

from __future__ import annotations

from typing import Final

SECOND_US: Final = 1_000_000
MINUTE_US: Final = 60 * SECOND_US
HOUR_US: Final = 60 * MINUTE_US
DAY_US: Final = 24 * HOUR_US
SHORTEST_WINDOW_US: Final = 5 * MINUTE_US  # the finest tile
LONGEST_WINDOW_US: Final = 365 * DAY_US
