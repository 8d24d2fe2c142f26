"""How late an event loop is: what is ready waits so long for its turn."""

from __future__ import annotations

import asyncio

EVERY_S = 0.01


class LoopLag:
    """Looks at the clock a hundred times a second, in the loop that it measures."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.asked = 0
        """What was asked of the loop since the last look."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._due = 0.0

    def watch(self) -> None:
        """Begin, in the running loop; does nothing when it is watched already."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop, self._due = loop, loop.time()
            self._look()

    def _look(self) -> None:
        assert self._loop is not None
        now = self._loop.time()
        self.asked = 0
        self.seconds = max(0.0, now - self._due)
        self._due = now + EVERY_S
        self._loop.call_at(self._due, self._look)
