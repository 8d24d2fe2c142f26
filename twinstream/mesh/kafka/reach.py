"""Whether Kafka answers this process: a thread with a client of its own asks every second.
Readiness of every service rests on it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from confluent_kafka.admin import AdminClient

from schemas.events import MetricObserved
from schemas.topics import topic_of
from twinstream.errors import TransientError
from twinstream.mesh.kafka.positions import partitions
from twinstream.mesh.settings import MeshSettings

EVERY_S, ASK_S = 1.0, 3.0
AWAY_AFTER_S = 5.0
"""So long Kafka may be silent before a service says that it is away: a restart of one broker of
several passes unnoticed.
"""
TOPIC = topic_of(MetricObserved)
"""Every service writes to it, so every service may ask about it."""


class Reach:
    """`away` says why this process cannot reach Kafka, "" when it can.

    Safe for threads; `ask` raises TransientError.
    """

    def __init__(
        self,
        address: str,
        ask: Callable[[], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._address, self._ask, self._clock = address, ask, clock
        self._answered_s, self._reason = clock(), "no answer yet"

    @property
    def away(self) -> str:
        """A sentence for people."""
        silent_s = self._clock() - self._answered_s
        if silent_s < AWAY_AFTER_S:
            return ""
        return f"Kafka at {self._address} has not answered for {silent_s:.0f} s ({self._reason})"

    def look(self) -> None:
        """Ask once."""
        try:
            self._ask()
        except TransientError as error:
            self._reason = str(error)
        else:
            self._answered_s = self._clock()

    def keep_looking(self) -> Reach:
        """Ask for ever, in a thread."""
        threading.Thread(target=self._run, name="kafka-reach", daemon=True).start()
        return self

    def _run(self) -> None:
        pause = threading.Event()
        while not pause.wait(EVERY_S):
            self.look()


def watched(settings: MeshSettings) -> Reach:
    """Asks the mesh's Kafka from now on."""
    admin = AdminClient(settings.kafka_client(log_level=0, reconnect_backoff_max_ms=500))
    return Reach(settings.kafka, lambda: partitions(admin, TOPIC, ASK_S)).keep_looking()
