"""Where the raw topics end, asked of Kafka now and then: what an answer's age is told by, and what `max_staleness_ms` waits for."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence

import msgspec
import structlog

from predict_svc.api.messages import NotReadyError
from schemas.topics import record_sent
from twinstream.errors import NotRunningError
from twinstream.mesh.kafka.ends import partition_ends
from twinstream.mesh.settings import MeshSettings

BOUND_S = 2.0
REMEMBERED = 240
Ends = dict[str, dict[int, int]]
log = structlog.get_logger()


class Look(msgspec.Struct, frozen=True):
    """Last raw offsets by source and partition, as they were at a moment or later."""

    at_s: float
    ends: Ends


class Looks:
    """The last looks, in their order; replaced whole, so that requests read it without a lock."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._remembered = remembered
        self._looks: tuple[Look, ...] = ()

    def note(self, look: Look) -> None:
        """Remember a look; of those between which nothing came the last suffices."""
        before = (
            self._looks[:-1] if self._looks and self._looks[-1].ends == look.ends else self._looks
        )
        self._looks = (*before[-self._remembered + 1 :], look)

    def age_ms(self, now_s: float, source: str, raw: Mapping[int, int]) -> float | None:
        """Time since the newest look at which the topic held nothing beyond `raw`; None when there was none."""
        for look in reversed(self._looks):
            if all(raw.get(p, -1) >= end for p, end in look.ends.get(source, {}).items()):
                return (now_s - look.at_s) * 1000
        return None


class RawEnds:
    """Asks and remembers. Safe for threads."""

    def __init__(self, settings: MeshSettings, sources: Sequence[str], max_age_ms: float) -> None:
        self._ends = partition_ends(settings)
        self._places = {
            (record_sent(source), p): source
            for source in sources
            for p in range(settings.partitions)
        }
        self._max_age_ms = max_age_ms
        self._lock = threading.Lock()
        self._known = Look(float("-inf"), {})
        self._looks = Looks()

    def __call__(
        self, sources: Sequence[str], max_age_ms: float
    ) -> Mapping[str, Mapping[int, int]]:
        """Ends as of a moment at most `max_age_ms` ago; raises NotReadyError when Kafka does not answer."""
        with self._lock:
            asked_at = time.monotonic()
            if asked_at - self._known.at_s > min(max_age_ms, self._max_age_ms) / 1000:
                self._known = Look(asked_at, self._ask())
                self._looks.note(self._known)
            return {source: self._known.ends.get(source, {}) for source in sources}

    def age_ms(self, source: str, raw: Mapping[int, int]) -> float | None:
        """How long ago the source's raw topic held nothing beyond `raw`; None when it is longer than is remembered."""
        return self._looks.age_ms(time.monotonic(), source, raw)

    def keep_looking(self, stop: threading.Event, pause_s: float) -> None:
        """Look until stopped. While Kafka does not answer, ages grow: that is what is known."""
        while not stop.wait(pause_s):
            try:
                self((), 0.0)
            except NotReadyError as error:
                log.warning("raw_ends_unknown", reason=str(error))

    def _ask(self) -> Ends:
        found: Ends = {}
        try:
            for place, end in self._ends(list(self._places), BOUND_S).items():
                found.setdefault(self._places[place], {})[place[1]] = end - 1
        except NotRunningError as error:
            raise NotReadyError(
                f"Kafka does not say where the raw topics end, so no age can be promised: {error}"
            ) from error
        return found
