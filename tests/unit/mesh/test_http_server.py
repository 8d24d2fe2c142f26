"""An HTTP service of two processes: they answer, beat, and end together."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from twinstream.mesh.exit_codes import FAILED, OK
from twinstream.mesh.heartbeat import Beat, read_beat
from twinstream.mesh.http_server import asked

ROOT = Path(__file__).parents[3]
BOUND_S = 60.0


@pytest.fixture
def service(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The process, and its worker's pid, once it is ready."""
    env = {
        "TWINSTREAM_PIPELINE": "examples/shop/pipeline.py",
        "TWINSTREAM_DATA": str(tmp_path),
        "TWINSTREAM_KAFKA": "127.0.0.1:1",
        "TWINSTREAM_PREDICT_PORT": str(free_port()),
    }
    command = [sys.executable, "-m", "tests.unit.mesh.http_child"]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **env})
    try:
        beat = until(lambda: ready(tmp_path))
        assert beat.pid == process.pid
        yield process, int(str(beat.detail["worker"]))
    finally:
        process.kill()
        process.wait()


def test_a_signal_ends_both(service: tuple[subprocess.Popen[bytes], int], tmp_path: Path) -> None:
    process, worker = service
    process.send_signal(signal.SIGTERM)
    assert process.wait(BOUND_S) == OK
    until(lambda: gone(worker))
    last = json.loads((tmp_path / "run" / "door.json").read_text())
    assert (last["ready"], last["detail"]) == (False, {"state": "stopped"})


def test_a_worker_does_not_outlive_its_parent(
    service: tuple[subprocess.Popen[bytes], int],
) -> None:
    process, worker = service
    process.kill()
    until(lambda: gone(worker))


def test_a_parent_ends_with_its_worker(service: tuple[subprocess.Popen[bytes], int]) -> None:
    process, worker = service
    os.kill(worker, signal.SIGKILL)
    assert process.wait(BOUND_S) == FAILED


def test_a_port_where_nobody_answers_is_not_ready() -> None:
    found, _, detail = asked("127.0.0.1", free_port())
    assert not found
    assert "does not answer" in str(detail["reason"])


def ready(folder: Path) -> Beat | None:
    beat = read_beat(folder / "run" / "door.json")
    return beat if beat is not None and beat.ready else None


def gone(pid: int) -> bool:
    """A process that nobody has waited for yet is gone as well."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state in "ZX"


def until(condition: Callable[[], Any]) -> Any:
    give_up = time.monotonic() + BOUND_S
    while not (found := condition()):
        assert time.monotonic() < give_up
        time.sleep(0.05)
    return found


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
