"""Ends a worker's process when it does none of its work."""

from __future__ import annotations

import threading
from typing import NamedTuple

import structlog

from twinstream.mesh.ending import gone
from twinstream.mesh.exit_codes import WORKER_FAILED

_log = structlog.get_logger()


class Work(NamedTuple):
    """What a worker has to do of one kind: how much is left, and something that changes when it
    does some of it.
    """

    kind: str
    left: int
    done: object


class Watchdog:
    """Ends the process when work is left and none is done, or when its event loop stands still.

    It counts its own seconds, so a stopped process that goes on is not taken for one that hangs.
    """

    def __init__(self, stall_s: int) -> None:
        self._stall_s = stall_s
        self._ticked = threading.Event()
        self._done: dict[str, object] = {}
        self._stood_s: dict[str, int] = {}
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def tick(self, *works: Work) -> None:
        """Called once a second by the loop that is watched."""
        self._ticked.set()
        for work in works:
            if self._seconds_still(work) >= self._stall_s:
                _log.error("worker_stood_still", **work._asdict(), seconds=self._stall_s)
                gone(WORKER_FAILED)

    def _seconds_still(self, work: Work) -> int:
        """For how long there is some left and none is done."""
        moved = not work.left or work.done != self._done.get(work.kind)
        self._done[work.kind] = work.done
        self._stood_s[work.kind] = 0 if moved else self._stood_s.get(work.kind, 0) + 1
        return self._stood_s[work.kind]

    def _watch(self) -> None:
        silent_s = 0
        while True:
            came = self._ticked.wait(1.0)
            self._ticked.clear()
            silent_s = 0 if came else silent_s + 1
            if silent_s >= max(3 * self._stall_s, 60):
                _log.error("event_loop_hangs", seconds=silent_s)
                gone(WORKER_FAILED)
