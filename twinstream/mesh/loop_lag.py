"""How late an event loop is: what is ready waits so long for its turn."""

from __future__ import annotations

import asyncio

EVERY_S = 0.01
MOST_LAG_S = 0.03
"""What a lane may let the loop be late before it sheds: health waits as long."""
FEW_WAITING = 4
MOST_ASKED = 128
"""So much is read in the loop within one look at the clock: some tens of milliseconds' work."""


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
        """Whether what is asked now comes in a crowd: more than fits between two looks, or than a
        loop that is late already can take.
        """
        self.watch()
        self._asked += 1
        late = self.seconds > MOST_LAG_S and self._asked > FEW_WAITING
        return late or self._asked > MOST_ASKED

    def _look(self) -> None:
        assert self._loop is not None
        now = self._loop.time()
        self._asked = 0
        self.seconds = max(0.0, now - self._due)
        self._due = now + EVERY_S
        self._loop.call_at(self._due, self._look)
