"""Processes by pid and start time: a pid alone may belong to another process by now."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec
import psutil


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


def end_session(leader: int) -> None:
    """SIGKILL everything in the session that the process `leader` began, whether or not it lives itself."""
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == leader:
                process.kill()
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue


def end_leftovers(processes: Iterable[Ref], bound_s: float = 10.0) -> list[int]:
    """End processes that an earlier supervisor left, with their sessions; return the pids of those that lived."""
    living = [process for process in processes if alive(process)]
    for process in living:
        end_session(process.pid)
    wait_ended(living, bound_s)
    return [process.pid for process in living]


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
