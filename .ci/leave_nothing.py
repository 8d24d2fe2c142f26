"""Runs a command and then ends every process that it left behind, saying which.
Standard library only.

As a child subreaper this process inherits orphans, however they detached themselves.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
GRACE_S = 10.0


def children() -> dict[int, str]:
    """Living direct children (orphans included) and their command lines."""
    listed = Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii").split()
    return {int(pid): command_of(pid) for pid in listed}


def command_of(pid: str) -> str:
    """Command line of a process, "" for one that has ended in between."""
    try:
        return (
            Path(f"/proc/{pid}/cmdline")
            .read_bytes()
            .replace(b"\0", b" ")
            .decode(errors="replace")[:160]
        )
    except OSError:
        return ""


def reap() -> None:
    """Collect children that have ended."""
    while children():
        pid, _ = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return


def end_all() -> list[str]:
    """End what is left, politely at first; return the command lines of what had to be told."""
    told: dict[int, str] = {}
    start = time.monotonic()
    while True:
        reap()
        left = children()
        if not left:
            return list(told.values())
        waited = time.monotonic() - start
        for pid, command in left.items():
            if waited > GRACE_S:
                os.kill(pid, signal.SIGKILL)
            elif waited > GRACE_S / 5 and pid not in told:
                told[pid] = command
                os.kill(pid, signal.SIGTERM)
        time.sleep(0.2)


def run(command: list[str]) -> int:
    """Exit status of the command; orphans that end meanwhile are collected, as init would,
    so that none stays a zombie.
    """
    process = subprocess.Popen(command)
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == process.pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return process.returncode if process.returncode >= 0 else 128 - process.returncode


def main() -> int:
    """Run the command of the arguments; its exit status is ours."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    status = run(sys.argv[1:])
    for command in end_all():
        print(f"left behind, ended now: {command}", flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
