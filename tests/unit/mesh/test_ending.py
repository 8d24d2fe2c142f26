"""How a process ends, seen from outside: its status, its last line, and what it said before."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.unit.mesh.ending_child import LONG_S
from twinstream.mesh.exit_codes import FAILED, NOT_RUNNING, OK, USAGE, WORKER_FAILED

ROOT = Path(__file__).parents[3]
BOUND_S = LONG_S - 5


def child(case: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.unit.mesh.ending_child", case],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, str, list[dict[str, object]]]:
    """(status, what it printed, its log)"""
    printed, logged = process.communicate(timeout=BOUND_S)
    lines = [json.loads(line) for line in logged.splitlines() if line.startswith("{")]
    return process.returncode, printed, lines


@pytest.mark.parametrize(
    ("case", "status", "event"),
    [
        ("returns", OK, "ended"),
        ("setting", USAGE, "stopped"),
        ("away", NOT_RUNNING, "stopped"),
        ("bug", FAILED, "failed"),
        ("thread with a bug", FAILED, "thread_failed"),
        ("thread with a setting", USAGE, "thread_failed"),
        ("thread that returns", FAILED, "thread_failed"),
        ("plain thread", FAILED, "thread_failed"),
        ("engine's thread", OK, "ended"),
        ("a thread that stays", OK, "ended"),
    ],
)
def test_each_end_has_its_status_and_its_line(case: str, status: int, event: str) -> None:
    found, _, lines = ended(child(case))
    assert (found, lines[-1]["event"]) == (status, event)


def test_a_status_that_work_chooses_is_kept() -> None:
    assert ended(child("exits"))[0] == WORKER_FAILED


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(
    ("case", "event"),
    [
        ("stops", "ended"),
        ("stops by an error", "broken_off"),
        ("never ends", "broken_off"),
    ],
)
def test_a_signal_ends_with_status_0(number: signal.Signals, case: str, event: str) -> None:
    found, printed, lines = stopped(case, number)
    assert (found, lines[-1]["event"]) == (OK, event)
    assert ("forgive me" in printed) == (case == "never ends")


def test_work_can_be_interrupted_at_once() -> None:
    started = time.monotonic()
    assert stopped("interrupted", signal.SIGTERM)[0] == OK
    assert time.monotonic() - started < BOUND_S


def test_goodbyes_are_said_though_one_fails() -> None:
    found, printed, lines = ended(child("goodbyes"))
    assert (found, printed.split()) == (OK, ["first", "last"])
    assert lines[-1]["event"] == "closed_with_loss"


def stopped(case: str, number: signal.Signals) -> tuple[int, str, list[dict[str, object]]]:
    process = child(case)
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    process.send_signal(number)
    return ended(process)
