"""Inputs that may not be passed over and cannot be handled now:
the process stays up, not ready, and names them.
"""

from __future__ import annotations

import traceback

import msgspec
import structlog

from twinstream.mesh.clock import Clock, WallClock

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0
LONGEST_REASON, LONGEST_TRACE = 2000, 8000
_log = structlog.get_logger()
Place = tuple[str, int]  # topic, partition


class Blocked(msgspec.Struct, frozen=True, kw_only=True):
    """One input at which a partition stands."""

    topic: str
    partition: int
    offset: int
    reason: str
    since_us: int
    attempts: int = 1


class Blocks:
    """Where partitions stand; each is tried again after a pause that grows, for what blocks may
    pass, as a full disk does.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or WallClock()
        self._found: dict[Place, Blocked] = {}

    def __contains__(self, place: Place) -> bool:
        return place in self._found

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(
        self,
        place: Place,
        offset: int,
        error: Exception,
    ) -> float:
        """A partition waits at an offset; returns after how many seconds to try again."""
        before = self._found.get(place)
        again = before if before is not None and before.offset == offset else None
        now = Blocked(
            topic=place[0],
            partition=place[1],
            offset=offset,
            reason=f"{type(error).__name__}: {error}"[:LONGEST_REASON],
            since_us=again.since_us if again else self._clock.now_us(),
            attempts=again.attempts + 1 if again else 1,
        )
        self._found[place] = now
        _tell(now, error, traced=again is None)
        return min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(now.attempts - 1, 10))

    def clear(self, place: Place) -> None:
        """The partition goes on."""
        if self._found.pop(place, None) is not None:
            _log.info("partition_goes_on", topic=place[0], partition=place[1])

    def only(self, places: set[Place]) -> None:
        """Forget those of other partitions: another worker has them now."""
        self._found = {place: found for place, found in self._found.items() if place in places}

    def detail(self) -> dict[str, object]:
        """For a heartbeat: `blocked` names the input that has blocked longest;
        empty when none does.
        """
        if not self._found:
            return {}
        oldest = min(self._found.values(), key=lambda found: found.since_us)
        return {"blocked": msgspec.to_builtins(oldest), "blocked_partitions": len(self._found)}


def _tell(
    now: Blocked,
    error: Exception,
    *,
    traced: bool,
) -> None:
    _log.error(
        "partition_blocked",
        topic=now.topic,
        partition=now.partition,
        offset=now.offset,
        attempt=now.attempts,
        reason=str(error),
        trace="".join(traceback.format_exception(error))[-LONGEST_TRACE:] if traced else "",
    )
