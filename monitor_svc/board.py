"""The one place where the run loop and the HTTP threads meet: a lock around the state,
and a tick each second for who listens.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import msgspec

from monitor_svc import snapshot
from monitor_svc.ports import Beats
from monitor_svc.state import State
from twinstream.mesh.clock import Clock


class Board:
    """Serves snapshots; `lock` is held by whoever changes the state."""

    def __init__(
        self,
        state: State,
        beats: Beats,
        clock: Clock,
        away: Callable[[], str] = lambda: "",
    ) -> None:
        self._away = away
        self._state, self._beats, self._clock = state, beats, clock
        self.lock = threading.Lock()
        self._one_snapshot, self._begun, self._shown = threading.Lock(), 0, b""
        self._new_tick = threading.Condition()
        self._tick: tuple[int, bytes] = (0, b"")
        self._listeners = 0

    @property
    def ready(self) -> bool:
        """The past has been read and Kafka answers; what is shown is as of now."""
        return self._state.caught_up and not self._away()

    def whole(self) -> bytes:
        """JSON of everything, with history.

        One thread at a time makes it: those who wait share the first one begun after they asked.
        """
        asked = self._begun
        with self._one_snapshot:
            if self._begun == asked:
                self._begun += 1
                self._shown = self._snapshot()
            return self._shown

    def _snapshot(self) -> bytes:
        beats, now_us = list(self._beats.read()), self._clock.now_us()
        with self.lock:
            return msgspec.json.encode(snapshot.whole(self._state, beats, now_us))

    def announce(self, second: int, values: dict[str, float]) -> None:
        """Tell the listeners of a new second; the run loop calls this while it holds the lock."""
        if not self._listeners:
            return
        shown: dict[str, Any] = snapshot.moment(
            self._state, list(self._beats.read()), self._clock.now_us()
        )
        data = msgspec.json.encode({**shown, "second": second, "values": values})
        with self._new_tick:
            self._tick = (self._tick[0] + 1, data)
            self._new_tick.notify_all()

    def listen(self, change: int) -> int:
        """One listener more (+1) or less (-1); returns how many there are now."""
        with self._new_tick:
            self._listeners += change
            return self._listeners

    def next_tick(self, after: int, timeout_s: float) -> tuple[int, bytes] | None:
        """The newest tick if its number is beyond `after`, else wait for one;
        None when none came in time.
        """
        with self._new_tick:
            self._new_tick.wait_for(lambda: self._tick[0] > after, timeout_s)
            return self._tick if self._tick[0] > after else None
