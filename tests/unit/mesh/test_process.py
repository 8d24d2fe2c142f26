"""A service runs from its settings to its exit status, with nothing between but its wiring."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from twinstream.mesh.exit_codes import FAILED, OK, USAGE
from twinstream.mesh.heartbeat import Beat, read_beat

ROOT = Path(__file__).parents[3]
BOUND_S = 60.0


def child(folder: Path, case: str, **more: str) -> subprocess.Popen[str]:
    """Kafka is where nobody listens."""
    env = {
        "TWINSTREAM_PIPELINE": "examples/shop/pipeline.py",
        "TWINSTREAM_DATA": str(folder),
        "TWINSTREAM_KAFKA": "127.0.0.1:1",
        **more,
    }
    return subprocess.Popen(
        [sys.executable, "-m", "tests.unit.mesh.process_child", case],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, **env},
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, list[dict[str, object]]]:
    logged = process.communicate(timeout=BOUND_S)[1]
    return process.returncode, [
        json.loads(line) for line in logged.splitlines() if line.startswith("{")
    ]


def test_a_service_beats_until_it_is_told_to_stop(tmp_path: Path) -> None:
    process = child(tmp_path, "waits")
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    assert beat_of(tmp_path, ready=True).detail == {"epoch": 1}
    process.send_signal(signal.SIGTERM)
    status, lines = ended(process)
    assert (status, lines[0]["event"], lines[-1]["event"]) == (OK, "started", "ended")
    assert {line["service"] for line in lines} == {"child"}
    assert beat_of(tmp_path, ready=False).detail["state"] == "stopped"


def test_a_further_worker_beats_under_its_own_name(tmp_path: Path) -> None:
    process = child(tmp_path, "waits", TWINSTREAM_CHILD_INSTANCE="b")
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    process.send_signal(signal.SIGTERM)
    assert ended(process)[0] == OK
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["child-b.json"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TWINSTREAM_PIPELINE", "no/such/file.py"),
        ("TWINSTREAM_PARTITIONS", "many"),
        ("TWINSTREAM_CHILD_PAUSE_S", "long"),
    ],
)
def test_a_wrong_setting_is_named_and_ends_the_process(
    tmp_path: Path, name: str, value: str
) -> None:
    status, lines = ended(child(tmp_path, "waits", **{name: value}))
    assert (status, lines[-1]["event"]) == (USAGE, "stopped")
    assert value in str(lines[-1]["reason"]) or name in str(lines[-1]["reason"])


@pytest.mark.parametrize("case", ["reads another", "writes another"])
def test_a_topic_that_the_service_does_not_declare_is_refused(tmp_path: Path, case: str) -> None:
    status, lines = ended(child(tmp_path, case))
    assert (status, lines[-1]["event"]) == (FAILED, "failed")
    assert "client.data-arrived.v1" in str(lines[-1]["exception"])
    assert "service.py" in str(lines[-1]["exception"])


def beat_of(folder: Path, *, ready: bool) -> Beat:
    give_up = time.monotonic() + BOUND_S
    while True:
        beat = read_beat(folder / "run" / "child.json")
        if beat is not None and beat.ready == ready:
            return beat
        assert time.monotonic() < give_up
        time.sleep(0.02)
