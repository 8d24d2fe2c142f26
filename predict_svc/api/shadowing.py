"""Asks the candidate beside a model what that was asked: after the answer, and never at its cost."""

# A prediction's event waits here for what the candidate says of its rows, for some milliseconds. It
# is in the journal then, so that a process that is killed leaves it to the next one, as it was.
# It holds the features that the answer was made of: both models see the same, to the bit.

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from queue import Empty, Full, Queue
from typing import NamedTuple

import msgspec
import structlog

from predict_svc.api.base import Meter
from predict_svc.api.publishing import Kept, Publish
from predict_svc.api.serving import Serving
from schemas.events import PredictionServed, ShadowAnswer, encode
from twinstream.features import record
from twinstream.nn.scorer import Scorer

MOST_WAITING = 8
"""So many events wait for a candidate; with one more it is not asked."""
MOST_BYTES = 1_000_000
"""A larger event does not wait: whether Kafka takes it has to be known before the answer."""
MOST_WAIT_S = 1.0
"""An event that has waited so long goes on without it."""
CLOSE_S = 1.0
log = structlog.get_logger()


class WaitingEvent(NamedTuple):
    """An event, and the candidate that is to be asked."""

    kept: Kept
    candidate: Scorer
    since_s: float


class Shadowing:
    """Between the answers and Kafka: `publish` and `beside` are for the threads that answer, `run`
    is a thread of its own.
    """

    def __init__(
        self,
        serving: Serving,
        *,
        keep: Callable[[PredictionServed], Kept | None],
        send: Callable[[Kept], None],
        meter: Meter,
        share: float,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """`keep` and `send`: of `publishing.Remembering`. `share`: of one core's time."""
        self._serving = serving
        self._keep = keep
        self._send = send
        self._meter = meter
        self._share = share
        self._clock = clock
        self._waiting: Queue[WaitingEvent] = Queue(MOST_WAITING)
        self._asking = threading.Lock()
        self._rests_until_s = 0.0

    def publish(self, event: PredictionServed) -> None:
        """Keep an event, and send it: at once, or when the candidate has been asked. Raises as
        `Remembering` does.
        """
        kept = self._keep(event)
        if kept is None:
            return
        candidate = self._candidate(event)
        if candidate is None:
            self._send(kept)
        elif not self._later(kept, candidate):
            self._shed(event)
            self._send(kept)

    def beside(self, publish: Publish) -> Publish:
        """As `publish`, for who has to know that it is sent: asks the candidate on the spot."""

        def asked_first(event: PredictionServed) -> None:
            candidate = self._candidate(event)
            if candidate is None or self._rests() or len(encode(event)) > MOST_BYTES:
                publish(event)
            else:
                publish(self._asked(event, candidate))

        return asked_first

    def run(self, stop: threading.Event) -> None:
        """Ask for what waits, until told to stop."""
        while not stop.is_set():
            self.step(0.5)

    def step(self, timeout_s: float) -> None:
        """Ask for one event, if one comes in time."""
        with self._asking:
            try:
                waiting = self._waiting.get(timeout=timeout_s)
            except Empty:
                return
            self._take(waiting)

    def _take(self, waiting: WaitingEvent) -> None:
        kept = waiting.kept
        if self._clock() - waiting.since_s > MOST_WAIT_S:
            self._shed(kept.event)
            self._send(kept)
            return
        asked = self._asked(kept.event, waiting.candidate)
        self._send(Kept(asked, encode(asked), kept.sent))

    def close(self) -> None:
        """Send what waits, without asking."""
        locked = self._asking.acquire(timeout=CLOSE_S)
        while True:
            try:
                self._send(self._waiting.get_nowait().kept)
            except Empty:
                break
        if locked:
            self._asking.release()

    def _candidate(self, event: PredictionServed) -> Scorer | None:
        found = self._serving.now.shadows.get(event.model)
        own = event.canary or (found is not None and found.digest == event.release.model)
        return None if own or self._share <= 0 else found

    def _later(
        self,
        kept: Kept,
        candidate: Scorer,
    ) -> bool:
        """Whether the event waits; it does not while the candidate has taken its share of time."""
        if self._rests() or len(kept.value) > MOST_BYTES:
            return False
        try:
            self._waiting.put_nowait(WaitingEvent(kept, candidate, self._clock()))
        except Full:
            return False
        return True

    def _rests(self) -> bool:
        return self._clock() < self._rests_until_s

    def _asked(
        self,
        event: PredictionServed,
        candidate: Scorer,
    ) -> PredictionServed:
        """The event with what the candidate says; as it was when that fails."""
        started = self._clock()
        try:
            found = shadow_of(event, candidate)
        except Exception as error:  # noqa: BLE001  (it is counted, and costs nobody an event)
            self._fail(event, error)
            return event
        finally:
            self._rest(self._clock() - started)
        self._meter.count("predict_shadow_rows_total", len(event.rows), model=event.model)
        return msgspec.structs.replace(event, shadow=found)

    def _fail(
        self,
        event: PredictionServed,
        error: Exception,
    ) -> None:
        self._meter.count("predict_shadow_failed_total", len(event.rows), model=event.model)
        log.warning("shadow_failed", model=event.model, reason=str(error)[:500])

    def _rest(self, took_s: float) -> None:
        now = self._clock()
        pause_s = took_s * (1 / self._share - 1)
        self._rests_until_s = max(self._rests_until_s, now) + max(0.0, pause_s)

    def _shed(self, event: PredictionServed) -> None:
        self._meter.count("predict_shadow_shed_total", len(event.rows), model=event.model)


def shadow_of(event: PredictionServed, candidate: Scorer) -> ShadowAnswer:
    """What a candidate of the same definition says of the rows of an event.

    Raises what the network raises, and ValueError for inputs of another order or a score that is
    not a finite number.
    """
    inputs = candidate.inputs
    if list(inputs.names) != event.inputs:
        raise ValueError(f"it takes {list(inputs.names)[:20]}, the event has {event.inputs[:20]}")
    features = record.from_lists([row.features for row in event.rows], inputs)
    outputs, shapes = candidate.predict(features)
    if not all(map(math.isfinite, outputs)):
        raise ValueError("it gives a score that is not a finite number")
    return ShadowAnswer(model_digest=candidate.digest, outputs=outputs, batch_shape=shapes[0])
