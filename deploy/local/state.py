"""What a running mesh says of itself in `DATA/run/mesh.json`, for `status`, `down` and the next
`up`.
"""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from deploy.local.processes import Ref, alive
from twinstream.errors import UNDECODABLE, SettingsError
from twinstream.mesh.files import write_status

READS, READ_AGAIN_S = 5, 0.02


class ServiceState(msgspec.Struct, frozen=True, kw_only=True):
    """One process: state is `up`, `waiting`, `restarting` or `stopped`."""

    state: str
    pid: int | None
    ready: bool
    lag: int | None
    restarts: int = 0
    last_error: str = ""
    """What it said when it ended last."""
    since_us: int = 0
    """When it became what it is now: up, ready, restarting; 0 when that is not known."""
    blocked: str = ""
    """What it waits for, in its own words."""

    def changed(self, before: ServiceState | None, now_us: int) -> ServiceState:
        """This state with its beginning: that of the state before, unless it differs."""
        same = before is not None and (before.state, before.pid, before.ready) == (
            self.state,
            self.pid,
            self.ready,
        )
        return msgspec.structs.replace(
            self, since_us=before.since_us if before and same else now_us
        )


STOPPED = ServiceState(state="stopped", pid=None, ready=False, lag=None)


class MeshState(msgspec.Struct, frozen=True, kw_only=True):
    """The whole mesh; `problem` is what keeps it from coming up, "" for nothing;
    `fatal` when no waiting mends it.
    """

    supervisor: Ref
    services: dict[str, ServiceState]
    addresses: dict[str, str]
    env: dict[str, str]
    ready: bool = False
    problem: str = ""
    fatal: bool = False

    @property
    def running(self) -> bool:
        """Whether its supervisor lives."""
        return alive(self.supervisor)


def path_of(data: Path) -> Path:
    """The state file of the mesh in this data folder."""
    return data / "run" / "mesh.json"


def read(data: Path) -> MeshState | None:
    """The last state of the mesh in this folder, running or not;
    None when there is none that can be read.

    One that is just being overwritten on a full disk is read again.
    """
    for _ in range(READS):
        try:
            return msgspec.json.decode(path_of(data).read_bytes(), type=MeshState)
        except UNDECODABLE:
            time.sleep(READ_AGAIN_S)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise SettingsError(
                f"the state of the mesh cannot be read: {error}; "
                f"is {data} yours, or another user's?"
            ) from error
    return None


def write(data: Path, state: MeshState) -> bool:
    """Replace the state file; False when the disk is full, as `write_status` says. Raises OSError.

    Its owner alone may read it: the environment of the processes holds what opens the stores.
    """
    path = path_of(data)
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_status(path, msgspec.json.format(msgspec.json.encode(state)))
