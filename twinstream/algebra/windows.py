"""Which tiles a window takes at a moment: the one rule for views, training rows and tests."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from twinstream.protocol import spans

MINUTE_US: Final = spans.MINUTE_US
HOUR_US: Final = spans.HOUR_US
DAY_US: Final = spans.DAY_US

HOP_US: Final = (5 * MINUTE_US, HOUR_US, DAY_US, 0)  # 0: one tile for all time
ALL: Final = 3  # the hop of "all"
CHUNK_TILES: Final = (12, 24, 32, 1)  # tiles of a hop that the speed view stores together


@lru_cache(maxsize=4096)
def length_us(window: str) -> int:
    """Microseconds of a window from `5m` to `365d`; 0 for `all`. Raises ValueError for anything
    else.
    """
    if window == "all":
        return 0
    length = spans.span_us(window)
    if length is None:
        raise ValueError(f"window {window!r} is not a length such as '5m', '1h', '30d' or 'all'")
    if not spans.SHORTEST_WINDOW_US <= length <= spans.LONGEST_WINDOW_US:
        raise ValueError(f"window {window!r} is not between 5m and 365d; use 'all' for everything")
    return length


def hop_of(window: str) -> int:
    """0 (5 minutes) below 12 hours, 1 (an hour) below 12 days, 2 (a day) above, 3 for `all`."""
    length = length_us(window)
    if length == 0:
        return ALL
    return 0 if length < 12 * HOUR_US else 1 if length < 12 * DAY_US else 2


def tile_of(hop: int, at_us: int) -> int:
    """The tile that holds a moment; negative before 1970."""
    return 0 if hop == ALL else at_us // HOP_US[hop]


def tiles(window: str, at_us: int) -> tuple[int, int, int]:
    """(hop, first, last): from the tile that holds `at_us - window` to the one that holds `at_us`,
    both included.
    """
    hop = hop_of(window)
    return hop, tile_of(hop, at_us - length_us(window)), tile_of(hop, at_us)
