"""Ports of one mesh on the loopback interface, kept in its data folder so that addresses stay the
same.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec
import psutil

from twinstream.errors import UNDECODABLE, SettingsError
from twinstream.mesh.files import write_whole

HOST = "127.0.0.1"
HIGHEST = 65_535


def choose(
    path: Path,
    wanted: dict[str, int],
    asked: Mapping[str, str] | None = None,
) -> dict[str, int]:
    """A free port for each name: the one used last time, else the wanted one (0: any),
    else any; all different.

    `asked` maps a name to the setting that asks for its port: that port and no other.
    Raises SettingsError when it cannot be had.
    """
    before = _read(path)
    chosen = _as_asked(wanted, asked or {})
    for name, preferred in wanted.items():
        if name not in chosen:
            candidates = (before.get(name, 0), preferred)
            chosen[name] = _free(candidates, set(chosen.values()))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, msgspec.json.encode({**before, **chosen}))
    return chosen


def _as_asked(wanted: dict[str, int], asked: Mapping[str, str]) -> dict[str, int]:
    """The ports that settings ask for, all of them free."""
    chosen = {name: wanted[name] for name in asked}
    for name, setting in asked.items():
        _check(chosen, name, setting)
    return chosen


def _free(candidates: Iterable[int], taken: set[int]) -> int:
    """The first of these that is to be had, else any."""
    possible = (port for port in candidates if port and port not in taken)
    return next((port for port in possible if is_free(port)), 0) or any_free(taken)


def _read(path: Path) -> dict[str, int]:
    """The ports of last time; none when the file was torn."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, int])
    except (FileNotFoundError, *UNDECODABLE):
        return {}


def _check(
    chosen: dict[str, int],
    name: str,
    setting: str,
) -> None:
    port = chosen[name]
    if not 0 < port <= HIGHEST:
        raise SettingsError(f"{setting}={port}: a port is a number from 1 to {HIGHEST}")
    if list(chosen.values()).count(port) > 1:
        raise SettingsError(f"{setting}={port}: another setting asks for the same port")
    if not is_free(port):
        raise SettingsError(
            f"{setting}={port} is taken by {holder(port)}: end that, or set another port"
        )


def holder(port: int) -> str:
    """Who listens on this port, as far as this user may know."""
    try:
        pid = _listener(port)
        process = psutil.Process(pid) if pid else None
        return f"{process.name()} (pid {process.pid})" if process else "another process"
    except psutil.Error:
        return "another process"


def _listener(port: int) -> int | None:
    """Its pid, None where it may not be known."""
    for found in psutil.net_connections("tcp"):
        if found.status == psutil.CONN_LISTEN and found.laddr.port == port:
            return found.pid
    return None


def is_free(port: int) -> bool:
    """Whether a server could listen on this port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def any_free(taken: set[int]) -> int:
    """Some port that nobody listens on and that is not in `taken`."""
    while True:
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            port = int(probe.getsockname()[1])
        if port not in taken:
            return port


def answers(port: int, timeout_s: float = 0.5) -> bool:
    """Whether something listens on this port."""
    try:
        with socket.create_connection((HOST, port), timeout=timeout_s):
            return True
    except OSError:
        return False
