"""A process's sign of life: one small file that the supervisor, `status` and the fault runner read."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import structlog

from twinstream.mesh.clock import Clock, WallClock
from twinstream.mesh.files import write_status
from twinstream.mesh.settings import MeshSettings

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
    """Writes the file `DATA/run/<name>.json` of the process `name`; call `beat` about once a second."""

    def __init__(self, settings: MeshSettings, name: str, clock: Clock | None = None) -> None:
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
        """Say that this process lives, whether it serves, and how far it is behind. A disk that takes no beat does not end the process."""
        beat = Beat(
            name=self._name,
            pid=os.getpid(),
            ready=ready,
            lag=lag,
            detail=detail or {},
            at_us=self._clock.now_us(),
        )
        try:
            write_status(self._path, msgspec.json.encode(beat))
        except OSError as error:
            if not self._lost:
                _log.warning("heartbeat_not_written", path=str(self._path), reason=str(error))
            self._lost = True
        else:
            self._lost = False


def read_beat(path: Path) -> Beat | None:
    """The last beat in this file; None when there is none yet, or it is half written."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Beat)
    except (OSError, msgspec.DecodeError):
        return None
