"""What a running mesh says of itself in `DATA/run/mesh.json`, for `status`, `down` and the next `up`."""

from __future__ import annotations

from pathlib import Path

import msgspec

from deploy.local.processes import Ref, alive
from twinstream.mesh.files import write_whole


class ServiceState(msgspec.Struct, frozen=True, kw_only=True):
    """One process: state is `up`, `waiting`, `restarting` or `stopped`."""

    state: str
    pid: int | None
    ready: bool
    lag: int | None
    restarts: int = 0


class MeshState(msgspec.Struct, frozen=True, kw_only=True):
    """The whole mesh; `problem` is what keeps it from coming up, "" for nothing; `fatal` when no waiting mends it."""

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
    """The last state of the mesh in this folder, running or not; None when there never was one."""
    try:
        return msgspec.json.decode(path_of(data).read_bytes(), type=MeshState)
    except FileNotFoundError:
        return None


def write(data: Path, state: MeshState) -> None:
    """Replace the state file. Its owner alone may read it: the environment of the processes holds what opens the stores."""
    path = path_of(data)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, msgspec.json.format(msgspec.json.encode(state)), 0o600)
