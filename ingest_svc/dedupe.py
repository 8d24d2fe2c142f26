"""The ids logged within a source's dedupe horizon, in a few generations that are dropped as a whole when they are too old."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]


class _Generation:
    """Ids first logged in one stretch of known time, each with its known time."""

    __slots__ = ("first_us", "known", "last_us")

    def __init__(self, first_us: int) -> None:
        self.first_us = self.last_us = first_us
        self.known: dict[bytes, int] = {}


class RecentIds:
    """Says which ids are new: an id is a duplicate when it was logged at most `horizon_us` of known time before.

    Known times must not decrease from call to call. At most about `limit` ids are kept; `forgotten` counts those dropped too early.
    """

    def __init__(self, horizon_us: int, limit: int = 20_000_000) -> None:
        self.horizon_us, self.limit, self.forgotten = horizon_us, limit, 0
        self._generations: deque[_Generation] = deque()

    def __len__(self) -> int:
        return sum(len(g.known) for g in self._generations)

    def add(self, ids: Sequence[bytes], known_us: npt.NDArray[np.int64]) -> Mask:
        """Remember the new ones of `ids`, known at `known_us` (ascending); return bool[n], True where new."""
        if self.horizon_us <= 0 or not ids:
            return np.ones(len(ids), bool)
        first, last = int(known_us[0]), int(known_us[-1])
        self._turn(first)
        if first == last and self._all_new(fresh := dict.fromkeys(ids, first), len(ids)):
            self._generations[-1].known.update(fresh)
            return np.ones(len(ids), bool)
        return np.fromiter((self._add(i, k) for i, k in zip(ids, known_us.tolist(), strict=True)), bool, len(ids))

    def restore(self, ids: Sequence[bytes], known_us: npt.NDArray[np.int64]) -> None:
        """Remember ids that the log holds already, in log order."""
        if self.horizon_us > 0 and len(known_us):
            self._turn(int(known_us[0]))
            current = self._generations[-1]
            current.known.update(zip(ids, known_us.tolist(), strict=True))
            current.last_us = max(current.last_us, int(known_us.max()))

    def _all_new(self, fresh: dict[bytes, int], n: int) -> bool:
        return len(fresh) == n and all(g.known.keys().isdisjoint(fresh) for g in self._generations)

    def _add(self, record_id: bytes, known_us: int) -> bool:
        for generation in self._generations:
            before = generation.known.get(record_id)
            if before is not None and known_us - before <= self.horizon_us:
                return False
        current = self._generations[-1]
        current.known[record_id] = known_us
        current.last_us = max(current.last_us, known_us)
        return True

    def _turn(self, now_us: int) -> None:
        """Drop what is beyond the horizon, and open a new generation when the current one is old or large enough."""
        generations = self._generations
        while generations and generations[0].last_us < now_us - self.horizon_us:
            generations.popleft()
        while len(self) >= self.limit and len(generations) > 1:
            self.forgotten += len(generations.popleft().known)
        full = generations and len(generations[-1].known) >= max(1, self.limit // 4)
        if not generations or full or now_us - generations[-1].first_us > self.horizon_us // 2:
            generations.append(_Generation(now_us))
        generations[-1].last_us = max(generations[-1].last_us, now_us)
