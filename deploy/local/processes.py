"""Processes by pid and start time: a pid alone may belong to another process by now."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec

MARK = "TWINSTREAM_MESH"
"""Variable that every process of a mesh carries: its data folder, '#', its name, ';'."""


class Ref(msgspec.Struct, frozen=True):
    """One process for ever; `started` is its start in clock ticks since boot."""

    pid: int
    started: int


def ref(pid: int) -> Ref | None:
    """Reference to a living process, None when there is none with this pid (a zombie is none)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else Ref(pid, int(fields[19]))


def alive(process: Ref) -> bool:
    """Whether this very process lives."""
    return ref(process.pid) == process


def marked(marker: str) -> list[Ref]:
    """Living processes, other than this one, whose environment says TWINSTREAM_MESH=`marker`...,
    however they were started.
    """
    wanted = os.fsencode(f"{MARK}={marker}")
    return [
        found
        for pid in _pids()
        if pid != os.getpid() and _carries(pid, wanted) and (found := ref(pid))
    ]


def in_session(leader: int) -> list[Ref]:
    """Living processes of the session that the process `leader` began, whether or not it lives
    itself.
    """
    return [found for pid in _pids() if _session(pid) == leader and (found := ref(pid))]


def end(processes: Iterable[Ref], bound_s: float = 5.0) -> list[int]:
    """SIGKILL these and wait until they are gone; return their pids."""
    ended = list(processes)
    for process in ended:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    wait_ended(ended, bound_s)
    return [process.pid for process in ended]


def _pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except OSError:
        return -1


def _carries(pid: int, prefix: bytes) -> bool:
    """Whether a variable of the environment that it began with starts so;
    False for what ended or is somebody else's.
    """
    try:
        variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False
    return any(variable.startswith(prefix) for variable in variables)


def wait_ended(processes: Iterable[Ref], bound_s: float) -> bool:
    """Wait until all have ended; False when the bound passed first."""
    give_up = time.monotonic() + bound_s
    left = list(processes)
    while left := [process for process in left if alive(process)]:
        if time.monotonic() > give_up:
            return False
        time.sleep(0.05)
    return True


def stop(process: Ref, bound_s: float) -> bool:
    """SIGTERM, then SIGKILL when the bound passed; False when it needed the latter."""
    if alive(process):
        os.kill(process.pid, signal.SIGTERM)
    if wait_ended([process], bound_s):
        return True
    os.kill(process.pid, signal.SIGKILL)
    wait_ended([process], 5.0)
    return False
