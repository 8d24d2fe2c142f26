"""`up`, `down`, `status`, `logs`: the life of an embedded mesh."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from deploy.local import environment, processes, state
from deploy.local.child import TETHER
from deploy.local.folder import prepare
from deploy.local.services import ALL
from deploy.local.supervisor import end_leftovers
from twinstream.cli import external, running
from twinstream.cli.options import DEFAULT_DATA, Data, Json, Timeout
from twinstream.cli.show import as_json, note, out, table
from twinstream.errors import MeshError, NotRunningError, SettingsError, WaitTimeoutError

POLL_S = 0.2
STOP_BOUND_S = 90.0
PATIENCE_S = 20.0
"""How long a process may fail to start before `up` says so; some wait for others."""


def up(
    pipeline: Annotated[
        Path | None, typer.Option("--pipeline", "-p", envvar="TWINSTREAM_PIPELINE", help="Your definition file.", dir_okay=False)] = None,
    data: Data = DEFAULT_DATA,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Return when all is ready; end it with `down`.")] = False,  # noqa: FBT002
    timeout: Timeout = 180.0,
    json: Json = False,  # noqa: FBT002
) -> None:
    """Start Kafka, S3, Hive and all services on this machine, and wait until they serve.

    Settings come from the environment (TWINSTREAM_*); data, ports and cluster id stay in the data folder over [b]down[/] and [b]up[/].
    With TWINSTREAM_EXTERNAL=1 Kafka, S3 and Hive are those at the addresses of the settings, and only services are started
    (TWINSTREAM_SERVICES: which of them, comma separated).
    """
    data = data.absolute()
    before = state.read(data)
    if before is not None and before.running:
        note(f"a mesh is running in {data} already (pid {before.supervisor.pid})")
    else:
        _begin(pipeline, data, detach=detach, timeout_s=timeout)
    if json:
        as_json(status_of(data))
    if not detach:
        _stay(data)


def _begin(pipeline: Path | None, data: Path, *, detach: bool, timeout_s: float) -> None:
    if pipeline is None or not pipeline.is_file():
        raise SettingsError(f"there is no definition file {pipeline or ''}: give it with --pipeline FILE")
    supervisor = spawn(pipeline, data, detach=detach)
    try:
        await_ready(supervisor, data, timeout_s)
    except BaseException:
        supervisor.terminate()
        supervisor.wait(STOP_BOUND_S)
        raise


def spawn(pipeline: Path, data: Path, *, detach: bool) -> subprocess.Popen[bytes]:
    """Start the supervisor process, its log in the data folder; without `detach` it ends with this process."""
    log = prepare(data) / "logs" / "supervisor.log"
    tie = [] if detach else [sys.executable, "-I", "-S", str(TETHER), str(os.getpid())]
    with log.open("ab") as file:
        log.chmod(0o600)
        return subprocess.Popen(
            [*tie, sys.executable, "-m", "deploy.local.supervisor", str(data), str(pipeline.absolute())],
            env=environment.of_supervisor(os.environ), umask=0o077,
            stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True)


def await_ready(supervisor: subprocess.Popen[bytes], data: Path, timeout_s: float) -> None:
    """Wait until the mesh serves, saying what has become ready; raises what keeps it from it."""
    begun, told = time.monotonic(), set[str]()
    note(f"starting a mesh in {data}; the first time on a machine its engines are fetched as well (about a minute)")
    while True:
        waited = time.monotonic() - begun
        if supervisor.poll() is not None:
            raise MeshError(_last_words(data))
        found = state.read(data)
        if found is not None and found.supervisor.pid == supervisor.pid:
            _tell(found, told, waited)
            if found.ready:
                note(f"[green]ready[/] in {waited:.0f} s; dashboard {found.addresses['monitor']}, predictions {found.addresses['predict']}")
                return
            if found.fatal:
                raise SettingsError(found.problem)
            if found.problem and waited > PATIENCE_S:
                raise MeshError(found.problem)
        if waited > timeout_s:
            slow = [] if found is None else [name for name, service in found.services.items() if not service.ready]
            raise WaitTimeoutError(f"not ready after {timeout_s:.0f} s: {', '.join(slow)}; see the logs in {data / 'logs'}")
        time.sleep(POLL_S)


def _tell(found: state.MeshState, told: set[str], waited: float) -> None:
    for name, service in found.services.items():
        if service.ready and name not in told:
            told.add(name)
            note(f"  {name:12} ready after {waited:4.1f} s ({len(told)} of {len(found.services)})")


def _last_words(data: Path) -> str:
    log = data / "logs" / "supervisor.log"
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    failed = [line for line in lines[-20:] if '"mesh_failed"' in line]
    if failed:
        import msgspec

        return str(msgspec.json.decode(failed[-1])["reason"])
    return "the supervisor ended: " + " ".join(lines[-3:]) + f" (all in {log})"


def _stay(data: Path) -> None:
    """Until the mesh ends, or Ctrl-C ends it."""
    note("Ctrl-C ends it")
    try:
        while (found := state.read(data)) is not None and found.running:
            time.sleep(POLL_S)
    except KeyboardInterrupt:
        note("stopping")
        stop(data)


def down(data: Data = DEFAULT_DATA, json: Json = False) -> None:  # noqa: FBT002
    """Stop the mesh of a data folder: services first, then the engines. Its data stays."""
    stopped = stop(data.absolute())
    if json:
        as_json({"stopped": stopped})
    if not stopped:
        raise NotRunningError(f"no mesh is running in {data}")
    note(f"stopped; its data stays in {data}")


def stop(data: Path) -> bool:
    """End the mesh of a folder and whatever a killed supervisor left; False when nothing ran."""
    found = state.read(data)
    lived = found is not None and found.running
    if found is not None and lived:
        processes.stop(found.supervisor, STOP_BOUND_S)
    return bool(end_leftovers(data)) or lived


def status(data: Data = DEFAULT_DATA, json: Json = False) -> None:  # noqa: FBT002
    """Show each process: is it up, is it ready, how far is it behind; and the addresses."""
    found = _found(data.absolute()) if running.is_external() else status_of(data.absolute())
    if json:
        as_json(found)
    else:
        rows = [(name, s["state"], s["pid"], "yes" if s["ready"] else "no", s["lag"]) for name, s in found["services"].items()]
        out.print(table(("process", "state", "pid", "ready", "lag"), rows))
        out.print(table(("address", ""), list(found["addresses"].items())))
    if not any(service["state"] == "up" for service in found["services"].values()):
        raise NotRunningError(f"nothing is running in {data}" if not running.is_external() else "nothing answers at these addresses")


def _found(data: Path) -> dict[str, dict[str, Any]]:
    """What runs elsewhere, and the services that `up` started here."""
    here = running.services_here(data)
    if here is None:
        return external.status({"TWINSTREAM_PIPELINE": "none", **os.environ})
    found = external.status(here.env, without=here.services)
    found["services"] |= status_of(data)["services"]
    return found


def status_of(data: Path) -> dict[str, dict[str, Any]]:
    """`{"services": {name: {state, pid, ready, lag}}, "addresses": {...}}` of an embedded mesh, running or not."""
    found = state.read(data)
    if found is None:
        gone = {"state": "stopped", "pid": None, "ready": False, "lag": None}
        return {"services": {name: dict(gone) for name in ("kafka", "s3", "hive", *ALL)}, "addresses": {}}
    services = {name: _shown(service, lives=found.running) for name, service in found.services.items()}
    return {"services": services, "addresses": found.addresses}


def _shown(service: state.ServiceState, *, lives: bool) -> dict[str, object]:
    if not lives:
        return {"state": "stopped", "pid": None, "ready": False, "lag": None}
    return {"state": service.state, "pid": service.pid, "ready": service.ready, "lag": service.lag}


def logs(
    name: Annotated[str | None, typer.Argument(help="A process, as `status` names it, or supervisor.")] = None,
    data: Data = DEFAULT_DATA,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="How many of the last lines.")] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on printing what is written.")] = False,  # noqa: FBT002
) -> None:
    """Print the log of a process of the mesh."""
    folder = data.absolute() / "logs"
    names = sorted(path.stem for path in folder.glob("*.log"))
    if name not in names:
        raise SettingsError(f"no log {name or ''}: there are {', '.join(names)}" if names else f"there are no logs in {folder}")
    path = folder / f"{name}.log"
    with path.open(encoding="utf-8", errors="replace") as file:
        sys.stdout.write("".join(file.readlines()[-lines:]))
        while follow:
            sys.stdout.write(file.read())
            sys.stdout.flush()
            time.sleep(POLL_S)


signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
