"""Whether the consumer group has given this worker its partitions: none may be what it was given,
but not to know is not to serve.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable


class Assignment:
    """What the group gave and took. A worker that lost all waits for the group's next word."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._held: set[Hashable] = set()
        self._waiting_since: float | None = clock()

    def given(self, partitions: Iterable[Hashable]) -> None:
        """The group's word; of more workers than partitions some are given none."""
        self._held.update(partitions)
        self._waiting_since = None

    def taken(self, partitions: Iterable[Hashable]) -> None:
        """The group took partitions away, or they were lost with the session."""
        self._held.difference_update(partitions)
        if not self._held and self._waiting_since is None:
            self._waiting_since = self._clock()

    def excused(self) -> None:
        """A group cannot speak while Kafka is away: waiting begins anew."""
        if self._waiting_since is not None:
            self._waiting_since = self._clock()

    @property
    def known(self) -> bool:
        """Whether the group has spoken since all was lost."""
        return self._waiting_since is None

    @property
    def waited_s(self) -> float:
        """For how long the group has said nothing; 0 when it has."""
        return 0.0 if self._waiting_since is None else self._clock() - self._waiting_since
