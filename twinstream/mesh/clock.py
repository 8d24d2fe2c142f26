"""Time as a dependency: logic takes a Clock, so that tests and replays decide what time it is."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Gives UTC microseconds since 1970."""

    def now_us(self) -> int: ...


class WallClock:
    """The host's clock."""

    def now_us(self) -> int:
        return time.time_ns() // 1000


class ManualClock:
    """A clock that stands until it is set or advanced."""

    def __init__(self, at_us: int = 0) -> None:
        self.at_us = at_us

    def now_us(self) -> int:
        return self.at_us

    def advance(self, by_us: int) -> None:
        """Move on by `by_us`, which is not negative."""
        if by_us < 0:
            raise ValueError(f"a clock does not go back: {by_us} us")
        self.at_us += by_us
