"""`up`, `down`, `status`, `logs`: the life of an embedded mesh."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Annotated, Any, TextIO

import msgspec
import typer
from rich.markup import escape

from deploy.local import processes, state
from deploy.local.services import ALL
from deploy.local.supervisor import end_leftovers
from twinstream.cli import external, running, starting, trouble
from twinstream.cli.options import DEFAULT_DATA, Data, Json, Timeout
from twinstream.cli.show import as_json, note, out, table
from twinstream.errors import MeshError, NotRunningError, SettingsError
from twinstream.mesh.exit_codes import TERMINATED
from twinstream.mesh.settings import MeshSettings

POLL_S = 0.2
STOP_BOUND_S = 90.0


Definition = Annotated[
    Path | None,
    typer.Option(
        "--pipeline",
        "-p",
        envvar="TWINSTREAM_PIPELINE",
        help="Your definition file.",
        dir_okay=False,
    ),
]
Detach = Annotated[
    bool, typer.Option("--detach", "-d", help="Return when all is ready; end it with `down`.")
]
Lines = Annotated[int, typer.Option("--lines", "-n", min=1, help="How many of the last lines.")]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Go on printing what is written.")]
ProcessName = Annotated[
    str | None, typer.Argument(help="A process, as `status` names it, or supervisor.")
]
COLUMNS = (
    "process",
    "state",
    "ready",
    "since",
    "restarts",
    "lag",
    "pid",
    "last error, or what it waits for",
)


def up(
    pipeline: Definition = None,
    data: Data = DEFAULT_DATA,
    detach: Detach = False,  # noqa: FBT002
    timeout: Timeout = 180.0,
    json: Json = False,  # noqa: FBT002
) -> None:
    """Start Kafka, S3, Hive and all services on this machine, and wait until they serve.

    Settings come from the environment (TWINSTREAM_*); data, ports and cluster id stay in the data
    folder over [b]down[/] and [b]up[/]. With TWINSTREAM_EXTERNAL=1 Kafka, S3 and Hive are those at
    the addresses of the settings, and only services are started (TWINSTREAM_SERVICES:
    which of them, comma separated).
    """
    data = data.resolve()
    before = state.read(data)
    if before is not None and before.running:
        starting.join(before, pipeline, data, timeout)
    else:
        starting.begin(pipeline, data, detach=detach, timeout_s=timeout)
    if json:
        as_json(status_of(data))
    if not detach:
        _stay(data)


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
    stopped = stop(data.resolve())
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
        _stop_supervisor(found.supervisor, data)
    return bool(end_leftovers(data)) or lived


def _stop_supervisor(supervisor: processes.Ref, data: Path) -> None:
    try:
        processes.stop(supervisor, STOP_BOUND_S)
    except PermissionError as error:
        raise MeshError(
            f"the mesh in {data} is another user's (pid {supervisor.pid}): "
            "it cannot be stopped from here"
        ) from error


def status(data: Data = DEFAULT_DATA, json: Json = False) -> None:  # noqa: FBT002
    """Show each process: is it up, is it ready, since when, how far is it behind,
    what went wrong last; what is open of dead letters and alerts; and the addresses.
    """
    found = _found(data.resolve()) if running.is_external() else status_of(data.resolve())
    found |= _trouble(data.resolve(), found["services"])
    as_json(found) if json else _show_status(found)
    if not any(service["state"] == "up" for service in found["services"].values()):
        raise NotRunningError(_nothing_runs(data))


def _nothing_runs(data: Path) -> str:
    return (
        "nothing answers at these addresses"
        if running.is_external()
        else f"nothing is running in {data}"
    )


def _show_status(found: dict[str, Any]) -> None:
    out.print(table(COLUMNS, (_row(name, one) for name, one in found["services"].items())))
    if found.get("problem"):
        out.print(f"[bold red]problem:[/] {escape(found['problem'])}", soft_wrap=True)
    trouble.show(found)
    out.print(table(("address", ""), found["addresses"].items()))


def _trouble(data: Path, services: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Nothing is asked of a mesh that does not run."""
    if all(service["state"] != "up" for service in services.values()):
        return {"dead_letters": {}, "alerts": [], "unknown": ""}
    return trouble.of_mesh(_settings_of(data), services)


def _settings_of(data: Path) -> MeshSettings:
    """Of what `up` started here, or of the environment."""
    found = running.services_here if running.is_external() else running.embedded
    here = found(data)
    nowhere = {"TWINSTREAM_PIPELINE": "none", **os.environ}
    return MeshSettings.from_env(nowhere if here is None else here.env)


def _found(data: Path) -> dict[str, Any]:
    """What runs elsewhere, and the services that `up` started here."""
    here = running.services_here(data)
    if here is None:
        return external.status({"TWINSTREAM_PIPELINE": "none", **os.environ})
    found = external.status(here.env, without=here.services)
    found["services"] |= status_of(data)["services"]
    return found


def status_of(data: Path) -> dict[str, Any]:
    """`{"services": {name: fields of ServiceState}, "addresses": {...}, "problem":
    ""}` of an embedded mesh, running or not.
    """
    found = state.read(data)
    if found is None:
        return _never_started()
    return {
        "services": {n: _shown(s, lives=found.running) for n, s in found.services.items()},
        "addresses": found.addresses,
        "problem": found.problem if found.running else "",
    }


def _never_started() -> dict[str, Any]:
    names = ("kafka", "s3", "hive", *ALL)
    services = {name: _shown(state.STOPPED, lives=False) for name in names}
    return {"services": services, "addresses": {}, "problem": ""}


def _shown(service: state.ServiceState, *, lives: bool) -> dict[str, object]:
    return msgspec.to_builtins(service if lives else state.STOPPED)


def _row(name: str, service: dict[str, Any]) -> tuple[object, ...]:
    """A process in the table. What runs elsewhere says less of itself."""
    why = service.get("blocked") or service.get("last_error") or ""
    since = trouble.ago(service.get("since_us") or 0)
    return (
        name,
        service["state"],
        "yes" if service["ready"] else "no",
        since,
        service.get("restarts"),
        service["lag"],
        service["pid"],
        escape(why),
    )


def logs(
    name: ProcessName = None,
    data: Data = DEFAULT_DATA,
    lines: Lines = 50,
    follow: Follow = False,  # noqa: FBT002
) -> None:
    """Print the log of a process of the mesh."""
    path = _log_file(data.absolute() / "logs", name)
    with path.open(encoding="utf-8", errors="replace") as file:
        sys.stdout.write("".join(file.readlines()[-lines:]))
        while follow:
            _print_new(file, path)
            time.sleep(POLL_S)


def _print_new(file: TextIO, path: Path) -> None:
    if path.stat().st_size < file.tell():  # it was truncated
        file.seek(0)
    sys.stdout.write(file.read())
    sys.stdout.flush()


def _log_file(folder: Path, name: str | None) -> Path:
    names = sorted(path.stem for path in folder.glob("*.log"))
    if name in names:
        return folder / f"{name}.log"
    raise SettingsError(
        f"no log {name or ''}: there are {', '.join(names)}"
        if names
        else f"there are no logs in {folder}"
    )


signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
