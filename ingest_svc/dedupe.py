"""The ids logged within a source's dedupe horizon, in a few generations that are dropped as a whole
when they are too old.
"""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ingest_svc.id_table import Ids, IdTable

Mask = npt.NDArray[np.bool_]
ALWAYS = -1  # a horizon within which nothing lies
NEVER = 2**63 - 1


class _Generation:
    """Ids first logged in one stretch of known time, each with its known time."""

    __slots__ = ("first_us", "known", "last_us")

    def __init__(self, first_us: int) -> None:
        self.first_us = self.last_us = first_us
        self.known = IdTable()


class RecentIds:
    """Says which ids are new: an id is a duplicate when it was logged at most `horizon_us` of known
    time away.

    `lane_us` is the time that the lane has reached with the ids given, which one record alone does
    not move far; without it, the ids' own. At most about `limit` ids are kept;
    `forgotten` counts those dropped too early.
    """

    def __init__(self, horizon_us: int, limit: int = 20_000_000) -> None:
        self.horizon_us, self.limit, self.forgotten = horizon_us, limit, 0
        self._generations: deque[_Generation] = deque()

    def __len__(self) -> int:
        return sum(len(g.known) for g in self._generations)

    def add(
        self,
        ids: pa.Array,
        known_us: npt.NDArray[np.int64],
        lane_us: int = NEVER,
    ) -> Mask:
        """Remember the new ones of `ids` (binary or string, no nulls), known at `known_us`;
        return bool[n], True where new.
        """
        new = np.ones(len(ids), bool)
        if self.horizon_us > 0 and len(ids):
            self._turn(min(int(known_us[0]), lane_us))
            wanted = Ids.of(ids)
            for generation in list(self._generations)[:-1]:
                generation.known.refuse(wanted, known_us, self.horizon_us, new)
            self._remember(wanted, known_us, self.horizon_us, new)
        return new

    def restore(
        self,
        ids: pa.Array,
        known_us: npt.NDArray[np.int64],
        lane_us: int = NEVER,
    ) -> None:
        """Remember ids of rows that count and that the log holds already, in log order."""
        if self.horizon_us > 0 and len(ids):
            self._turn(min(int(known_us[0]), lane_us))
            self._remember(Ids.of(ids), known_us, ALWAYS, np.ones(len(ids), bool))

    def _remember(
        self,
        ids: Ids,
        known_us: npt.NDArray[np.int64],
        horizon_us: int,
        new: Mask,
    ) -> None:
        current = self._generations[-1]
        current.known.add(ids, known_us, horizon_us, new)
        current.last_us = max(current.last_us, int(known_us.max()))

    def _turn(self, now_us: int) -> None:
        """Drop what is beyond the horizon, and open a new generation when the current one is old or
        large enough.
        """
        self._forget_before(now_us - self.horizon_us)
        self._make_room()
        if self._begins(now_us):
            self._generations.append(_Generation(now_us))
        current = self._generations[-1]
        current.last_us = max(current.last_us, now_us)

    def _forget_before(self, first_us: int) -> None:
        """Not only the oldest generation: an id may be known far ahead."""
        kept = [g for g in self._generations if g.last_us >= first_us]
        if len(kept) < len(self._generations):
            self._generations = deque(kept)

    def _make_room(self) -> None:
        while len(self) >= self.limit and len(self._generations) > 1:
            dropped = self._generations.popleft()
            self.forgotten += len(dropped.known)

    def _begins(self, now_us: int) -> bool:
        """Whether what comes now belongs to a new generation."""
        if not self._generations:
            return True
        current = self._generations[-1]
        full = len(current.known) >= max(1, self.limit // 4)
        return full or now_us - current.first_us > self.horizon_us // 2
