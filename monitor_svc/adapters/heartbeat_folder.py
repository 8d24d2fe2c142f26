"""Signs of life of the processes on this host, from the folder into which each writes its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twinstream.errors import UNDECODABLE
from twinstream.mesh.heartbeat import Beat, read_beat

LONGEST_WHY = 500


class HeartbeatFolder:
    """Implements `ports.Beats`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self) -> list[dict[str, Any]]:
        """Every process's last beat, by name; a file that is no beat is left out."""
        found = []
        for path in sorted(self._folder.glob("*.json")):
            try:
                beat = read_beat(path)
            except UNDECODABLE:
                continue
            if beat is not None:
                found.append(
                    {
                        "name": beat.name,
                        "pid": beat.pid,
                        "ready": beat.ready,
                        "lag": beat.lag,
                        "at_us": beat.at_us,
                        **_why(beat),
                    }
                )
        return found


def _why(beat: Beat) -> dict[str, str]:
    """What it says blocks it, and why it is not ready; "" for nothing."""
    blocked, reason = str(beat.detail.get("blocked") or ""), str(beat.detail.get("reason") or "")
    return {"blocked": blocked[:LONGEST_WHY], "reason": "" if beat.ready else reason[:LONGEST_WHY]}
