"""The mesh that a command talks to: the embedded one of a data folder, or the one that the
environment names.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from deploy.local import environment
from deploy.local import state as states
from twinstream.cli.show import note
from twinstream.define.pipeline import Pipeline
from twinstream.errors import NotRunningError
from twinstream.mesh.pipeline_file import load
from twinstream.mesh.settings import MeshSettings

OF_ENGINES = ("TWINSTREAM_KAFKA", "TWINSTREAM_S3_ENDPOINT", "TWINSTREAM_HIVE")
"""Where engines are that run elsewhere; embedded ones say it themselves."""


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """Settings and addresses of a mesh."""

    settings: MeshSettings
    addresses: dict[str, str]
    env: dict[str, str]
    """What its processes see, or what the shell says of a mesh that runs elsewhere."""

    def pipeline(self) -> Pipeline:
        """Its definition; raises DefinitionError."""
        return load(self.settings.pipeline)


def model_names(pipeline: Pipeline, model: str) -> list[str]:
    """The model, or for "" all of them; raises DefinitionError for one that there is not."""
    return [pipeline.model(model).name] if model else [one.name for one in pipeline.models]


def is_external() -> bool:
    """Whether the environment says that Kafka, S3 and Hive run elsewhere."""
    return environment.is_external(os.environ)


def unused(shell: Mapping[str, str]) -> str:
    """Addresses that the shell gives without saying that they are to be used, as a sentence;
    "" for none.
    """
    given = [name for name in OF_ENGINES if shell.get(name)]
    if not given or environment.is_external(shell):
        return ""
    are = "is set but" if len(given) == 1 else "are set but"
    return (
        f"{' and '.join(given)} {are} not used without TWINSTREAM_EXTERNAL=1: "
        "set that for engines that run elsewhere, or unset the addresses"
    )


def mesh(data: Path) -> Running:
    """The mesh of the folder, or the one that the environment names;
    raises NotRunningError when there is neither.
    """
    from deploy.local.plan import addresses

    state = services_here(data) if is_external() else embedded(data)
    if said := unused(os.environ):
        note(f"[yellow]note:[/] {said}")
    if state is None:
        settings = MeshSettings.from_env()
        return Running(
            settings=quiet(settings),
            addresses=addresses(settings),
            env=environment.of_mesh(os.environ),
        )
    return Running(
        settings=quiet(MeshSettings.from_env(state.env)),
        addresses=state.addresses,
        env=state.env,
    )


def quiet(settings: MeshSettings) -> MeshSettings:
    """Without librdkafka's own lines, of which a broker that is away brings twenty a second:
    a command says it once, in words. What the settings say of its log holds all the same.
    """
    options = f"log_level=0;{settings.kafka_options}"
    return msgspec.structs.replace(settings, kafka_options=options)


def services_here(data: Path) -> states.MeshState | None:
    """State of the services that `up` started in the folder beside engines that run elsewhere;
    None for none.
    """
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
            (
                f"no mesh is running in {data}: start one with twinstream up --pipeline FILE "
                f"--data {data}"
            )
            + (f" ({said})" if (said := unused(os.environ)) else "")
        )
    return state
