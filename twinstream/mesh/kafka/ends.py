"""Where partitions end, asked of Kafka itself: what a client has heard while fetching says nothing
once it no longer fetches.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog
from confluent_kafka.admin import AdminClient

from twinstream.errors import NotRunningError
from twinstream.mesh.kafka import positions
from twinstream.mesh.kafka.positions import Place
from twinstream.mesh.settings import MeshSettings

RENEW_AFTER_S = 5.0
"""A client that has failed for so long is replaced: after a restart of the broker an old one may
answer FENCED_LEADER_EPOCH for ever. A younger one gets the time to connect.
"""
LOOK_EVERY_S, LOOK_BOUND_S = 2.0, 5.0
Ask = Callable[[Any, Sequence[Place], float], dict[Place, int]]
_log = structlog.get_logger()


class PartitionEnds:
    """Asks for the offset after the last of partitions.
    Threads that meet renew a client twice at worst.
    """

    def __init__(
        self,
        make: Callable[[], Any],
        ask: Ask = positions.ends,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._make, self._ask, self._clock = make, ask, clock
        self._client = make()
        self._failing_since: float | None = None

    def __call__(self, places: Sequence[Place], bound_s: float) -> dict[Place, int]:
        """Raises NotRunningError when Kafka does not say within the bound."""
        try:
            found = self._ask(self._client, places, bound_s)
        except NotRunningError:
            self._failed()
            raise
        self._failing_since = None
        return found

    def _failed(self) -> None:
        now = self._clock()
        if self._failing_since is None:
            self._failing_since = now
        elif now - self._failing_since >= RENEW_AFTER_S:
            self._client, self._failing_since = self._make(), now


def partition_ends(settings: MeshSettings) -> PartitionEnds:
    """Asks the mesh's Kafka."""
    return PartitionEnds(lambda: AdminClient(settings.kafka_client(reconnect_backoff_max_ms=500)))


def partition_beginnings(settings: MeshSettings) -> PartitionEnds:
    """Asks the mesh's Kafka where partitions begin."""
    return PartitionEnds(
        lambda: AdminClient(settings.kafka_client(reconnect_backoff_max_ms=500)),
        positions.beginnings,
    )


class EndsWatched:
    """The ends as they were at the last look; a partition is missing before it was seen.

    Without an answer the old ends stay: they are still true as lower bounds.
    """

    def __init__(
        self, ends: Callable[[Sequence[Place], float], dict[Place, int]], places: Sequence[Place]
    ) -> None:
        self._ends, self._places = ends, places
        self._seen: Mapping[Place, int] = {}

    def lag(self, following: Mapping[Any, int]) -> int | None:
        """Messages from these offsets to the ends, over all places that are followed; None when one
        of them was not seen yet.
        """
        seen = [(self._seen.get((p[0], p[1])), offset) for p, offset in following.items()]
        if not seen or any(end is None for end, _ in seen):
            return None
        return sum(max(0, end - offset) for end, offset in seen if end is not None)

    def look(self) -> None:
        """Ask once."""
        try:
            self._seen = self._ends(self._places, LOOK_BOUND_S)
        except NotRunningError as error:
            _log.warning("ends_unknown", reason=str(error))

    def keep_looking(self) -> EndsWatched:
        """Ask every two seconds, in a thread."""
        threading.Thread(target=self._run, name="ends", daemon=True).start()
        return self

    def _run(self) -> None:
        pause = threading.Event()
        while True:
            self.look()
            pause.wait(LOOK_EVERY_S)


def watched(settings: MeshSettings, topics: Sequence[str]) -> EndsWatched:
    """Looks at all partitions of these topics from now on."""
    places = [(topic, p) for topic in topics for p in range(settings.partitions)]
    return EndsWatched(partition_ends(settings), places).keep_looking()
