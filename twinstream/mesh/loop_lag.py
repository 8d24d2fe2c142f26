"""How late an event loop is: what is ready waits so long for its turn."""

from __future__ import annotations

import asyncio

EVERY_S = 0.01
MOST_LAG_S = 0.03
"""What a lane that hands its work on may let the loop be late before it sheds: health waits as
long.
"""
MOST_READING_S = 0.015
"""The same of a lane that does its work in the loop."""
FEW_WAITING = 4


class LoopLag:
    """Looks at the clock a hundred times a second, in the loop that it measures."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._asked = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._due = 0.0

    def watch(self) -> None:
        """Begin, in the running loop; does nothing when it is watched already."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop, self._due = loop, loop.time()
            self._look()

    def crowded(self) -> bool:
        """Whether what is asked now comes in a crowd: more than the loop can read in time."""
        self.watch()
        self._asked += 1
        return self._asked > FEW_WAITING and self.now() > MOST_READING_S

    def now(self) -> float:
        """How late the loop was at its last look, or is by now with what came since."""
        assert self._loop is not None
        return max(self.seconds, self._loop.time() - self._due)

    def _look(self) -> None:
        assert self._loop is not None
        now = self._loop.time()
        self._asked = 0
        self.seconds = max(0.0, now - self._due)
        self._due = now + EVERY_S
        self._loop.call_at(self._due, self._look)
