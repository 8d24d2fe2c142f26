"""Ports of one mesh on the loopback interface, kept in its data folder so that addresses stay the same."""

from __future__ import annotations

import socket
from pathlib import Path

import msgspec

from twinstream.mesh.files import write_whole

HOST = "127.0.0.1"


def choose(path: Path, wanted: dict[str, int]) -> dict[str, int]:
    """A free port for each name: the one used last time, else the wanted one (0: any), else any; all different."""
    before = msgspec.json.decode(path.read_bytes(), type=dict[str, int]) if path.exists() else {}
    chosen: dict[str, int] = {}
    for name, preferred in wanted.items():
        candidates = [port for port in (before.get(name, 0), preferred) if port and port not in chosen.values()]
        chosen[name] = next((port for port in candidates if is_free(port)), 0) or any_free(set(chosen.values()))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, msgspec.json.encode(chosen | {name: port for name, port in before.items() if name not in chosen}))
    return chosen


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
