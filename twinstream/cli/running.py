"""The mesh that a command talks to: the embedded one of a data folder, or the one that the environment names."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from deploy.local import state as states
from twinstream.define.pipeline import Pipeline
from twinstream.errors import NotRunningError
from twinstream.mesh.pipeline_file import load
from twinstream.mesh.settings import MeshSettings


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """Settings and addresses of a mesh."""

    settings: MeshSettings
    addresses: dict[str, str]

    def pipeline(self) -> Pipeline:
        """Its definition; raises DefinitionError."""
        return load(self.settings.pipeline)


def is_external() -> bool:
    """Whether the environment says that Kafka, S3 and Hive run elsewhere."""
    return os.environ.get("TWINSTREAM_EXTERNAL", "") not in {"", "0", "false"}


def mesh(data: Path) -> Running:
    """The mesh of the folder, or the one that the environment names; raises NotRunningError when there is neither."""
    from deploy.local.plan import addresses

    state = services_here(data) if is_external() else embedded(data)
    if state is None:
        settings = MeshSettings.from_env()
        return Running(settings=settings, addresses=addresses(settings))
    return Running(settings=MeshSettings.from_env(state.env), addresses=state.addresses)


def services_here(data: Path) -> states.MeshState | None:
    """State of the services that `up` started in the folder beside engines that run elsewhere; None for none."""
    state = states.read(data.absolute())
    return (
        state
        if state is not None and state.running and MeshSettings.from_env(state.env).external
        else None
    )


def embedded(data: Path) -> states.MeshState:
    """State of the embedded mesh that runs in the folder; raises NotRunningError."""
    state = states.read(data.absolute())
    if state is None or not state.running:
        raise NotRunningError(
            f"no mesh is running in {data}: start one with twinstream up --pipeline FILE --data {data}"
        )
    return state
