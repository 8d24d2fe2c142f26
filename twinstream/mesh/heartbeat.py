"""A process's sign of life: one small file that the supervisor, `status` and the fault runner read."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import structlog

from twinstream.errors import UNDECODABLE
from twinstream.mesh.clock import Clock, WallClock
from twinstream.mesh.files import write_status
from twinstream.mesh.settings import MeshSettings

BEAT_S, SILENT_S = 1.0, 15.0
Vitals = tuple[bool, int | None, dict[str, object]]
"""Whether a process serves, how far it is behind, and what else it says."""
_log = structlog.get_logger()


class Beat(msgspec.Struct, frozen=True, kw_only=True):
    """What a process says of itself; `lag` counts messages not yet handled, None when it has none to handle."""

    name: str
    pid: int
    ready: bool
    lag: int | None = None
    detail: dict[str, object] = {}
    at_us: int = 0


class Heartbeat:
    """Writes the file `DATA/run/<name>.json` of the process `name`; call `beat` about once a
    second.

    While `away` says why an engine cannot be reached, a process is not ready, whatever it says of
    itself.
    """

    def __init__(
        self,
        settings: MeshSettings,
        name: str,
        clock: Clock | None = None,
        away: Callable[[], str] = lambda: "",
    ) -> None:
        self._away = away
        self._name = f"{name}@{settings.instance}" if settings.instance else name
        self._path = settings.run_folder() / f"{self._name}.json"
        self._clock = clock or WallClock()
        self._lost = False

    def beat(
        self,
        ready: bool,  # noqa: FBT001
        lag: int | None = None,
        detail: dict[str, object] | None = None,
    ) -> None:
        """Say that this process lives, whether it serves, and how far it is behind. A disk that
        takes no beat does not end the process.
        """
        away = self._away()
        facts = (detail or {}) | ({"reason": away} if away else {})
        self._write(self._now(lag, facts, ready=ready and not away))

    def _now(
        self,
        lag: int | None,
        detail: dict[str, object],
        *,
        ready: bool,
    ) -> Beat:
        return Beat(
            name=self._name,
            pid=os.getpid(),
            ready=ready,
            lag=lag,
            detail=detail,
            at_us=self._clock.now_us(),
        )

    def _write(self, beat: Beat) -> None:
        try:
            write_status(self._path, msgspec.json.encode(beat))
        except OSError as error:
            if not self._lost:
                _log.warning("heartbeat_not_written", path=str(self._path), reason=str(error))
            self._lost = True
        else:
            self._lost = False


class BackgroundBeat:
    """Beats what a process's loop told last: the loop may wait for an engine meanwhile.

    A loop that tells nothing for `SILENT_S` is not ready: a pulse hides no hung process.
    """

    def __init__(
        self, heartbeat: Heartbeat, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._heartbeat, self._monotonic = heartbeat, monotonic
        self._told: tuple[float, Vitals] = (monotonic(), (False, None, {}))

    def tell(
        self,
        ready: bool,  # noqa: FBT001
        lag: int | None,
        detail: dict[str, object],
    ) -> None:
        """How the loop finds itself now."""
        self._told = (self._monotonic(), (ready, lag, detail))

    def beat(self) -> None:
        """Beat once."""
        told_s, (ready, lag, detail) = self._told
        silent_s = self._monotonic() - told_s
        if silent_s >= SILENT_S:
            ready = False
            detail = {**detail, "reason": f"no round was finished for {silent_s:.0f} s"}
        self._heartbeat.beat(ready, lag, detail)


def every_second(stopping: threading.Event, beat: Callable[[], None]) -> None:
    """Beat until told to stop, the first time at once."""
    while True:
        beat()
        if stopping.wait(BEAT_S):
            return


def read_beat(path: Path) -> Beat | None:
    """The last beat in this file; None when there is none yet, or it is half written."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Beat)
    except (OSError, *UNDECODABLE):
        return None
