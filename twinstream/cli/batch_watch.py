"""What the batch layer of this host does while a command waits for it."""

from __future__ import annotations

from pathlib import Path

import msgspec

from deploy.local import state as states
from twinstream.cli.show import note, shown
from twinstream.errors import MeshError

MOST_RESTARTS = 10
"""Who waits is told of each restart; after so many, that waiting is of no use."""


class BatchWatch:
    """Tells who waits what the batch layer of this host does meanwhile:
    that it restarts, and what blocks it.
    """

    def __init__(self, data: Path) -> None:
        self._data = data
        # what blocks it already is news too
        self._now = msgspec.structs.replace(_batch(data), blocked="")
        self._first = self._now.restarts
        self.why = ""

    def look(self) -> None:
        """Tell what is new; raises MeshError when it restarts without end."""
        before, self._now = self._now, _batch(self._data)
        _tell_change(before, self._now)
        fell = self._now.restarts > self._first
        self.why = self._now.blocked or (self._now.last_error if fell else "") or self.why
        if self._now.restarts - self._first >= MOST_RESTARTS:
            raise MeshError(
                f"batch was started again {MOST_RESTARTS} times: "
                f"{self._now.last_error or 'see twinstream logs batch'}"
            )


def _tell_change(before: states.ServiceState, now: states.ServiceState) -> None:
    if now.restarts > before.restarts:
        note(
            "batch ended and is started again, and does its step again: "
            "if it goes on so, see twinstream logs batch"
        )
    if now.blocked and now.blocked != before.blocked:
        note(f"batch is blocked: {shown(now.blocked)}")


def _batch(data: Path) -> states.ServiceState:
    """The batch layer of the mesh in this folder; where there is none, one that never restarts and
    waits for nothing.
    """
    state = states.read(data.absolute())
    return (
        state.services.get("batch", states.STOPPED)
        if state is not None and state.running
        else states.STOPPED
    )
