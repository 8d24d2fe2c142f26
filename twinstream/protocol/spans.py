"""Spans of time in microseconds, and the shortest and longest window that a view may have."""

from __future__ import annotations

import re
from typing import Final

SECOND_US: Final = 1_000_000
MINUTE_US: Final = 60 * SECOND_US
HOUR_US: Final = 60 * MINUTE_US
DAY_US: Final = 24 * HOUR_US
SHORTEST_WINDOW_US: Final = 5 * MINUTE_US  # the finest tile
LONGEST_WINDOW_US: Final = 365 * DAY_US

_UNITS: Final = {"s": SECOND_US, "m": MINUTE_US, "h": HOUR_US, "d": DAY_US, "w": 7 * DAY_US}
_FORM: Final = re.compile(r"(\d{1,9})([smhdw])", re.ASCII)


def span_us(text: object) -> int | None:
    """Length of a span such as "90s", "5m", "24h", "30d" or "2w"; None for what is not one."""
    form = _FORM.fullmatch(text) if isinstance(text, str) else None
    return int(form[1]) * _UNITS[form[2]] if form else None
