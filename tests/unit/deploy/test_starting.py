"""`up` joins the mesh that runs, refuses to pass another for it, and says why one does not
serve.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local import processes, state
from deploy.local.supervisor import take_over
from tests.unit.test_supervisor import SLEEP
from twinstream.cli import lifecycle, starting
from twinstream.cli.main import run
from twinstream.errors import MeshError
from twinstream.mesh.exit_codes import FAILED, OK, TIMEOUT, USAGE

ADDRESSES = {"monitor": "http://m", "predict": "http://p"}


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("TWINSTREAM_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def definition(tmp_path: Path) -> Path:
    (tmp_path / "pipeline.py").touch()
    return tmp_path / "pipeline.py"


def running(data: Path, definition: Path, **more: object) -> None:
    """Make this process the supervisor of a mesh."""
    mine = processes.ref(os.getpid())
    assert mine is not None
    env = {
        "TWINSTREAM_PIPELINE": str(definition),
        "TWINSTREAM_PARTITIONS": "2",
        "TWINSTREAM_SEAL_EVERY_S": "2.0",
    }
    fields: dict[str, object] = {
        "supervisor": mine,
        "services": {},
        "addresses": ADDRESSES,
        "env": env,
        "ready": True,
        **more,
    }
    state.write(data, state.MeshState(**fields))  # type: ignore[arg-type]


def up(data: Path, *words: str) -> int:
    return run(["up", "--detach", "--data", str(data), *words])


def test_the_same_mesh_again_is_fine(
    tmp_path: Path, definition: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running(tmp_path, definition)
    monkeypatch.setenv("TWINSTREAM_SEAL_EVERY_S", "2")
    (tmp_path / "link.py").symlink_to(definition)
    assert up(tmp_path, "--pipeline", str(tmp_path / "link.py")) == OK
    assert up(tmp_path) == OK


def test_another_definition_on_a_running_mesh_is_refused(
    tmp_path: Path, definition: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    running(tmp_path, definition)
    (tmp_path / "other.py").touch()
    assert up(tmp_path, "--pipeline", str(tmp_path / "other.py")) == USAGE
    said = " ".join(capsys.readouterr().err.split())
    assert "twinstream down" in said
    assert "other.py" in said


@pytest.mark.parametrize(
    "name",
    [
        "TWINSTREAM_PARTITIONS",
        "TWINSTREAM_PREDICT_PORT",
        "TWINSTREAM_VIEW_MAP_GIB",
        "TWINSTREAM_SERVICES",
    ],
)
def test_another_setting_on_a_running_mesh_is_refused(
    name: str,
    tmp_path: Path,
    definition: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    running(tmp_path, definition)
    monkeypatch.setenv(name, "3")
    assert up(tmp_path) == USAGE
    assert name in capsys.readouterr().err


def test_it_is_waited_for_a_mesh_that_somebody_starts(
    tmp_path: Path, definition: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    view = state.ServiceState(
        state="restarting",
        pid=None,
        ready=False,
        lag=None,
        restarts=2,
        last_error="ended with status 1: no [room]",
    )
    running(tmp_path, definition, ready=False, services={"view": view})
    assert up(tmp_path, "--timeout", "0.3") == TIMEOUT
    said = " ".join(capsys.readouterr().err.split())
    assert said.count("no [room]") == 2
    assert "view (restarting)" in said


def test_the_last_line_of_a_slow_process_is_said(
    tmp_path: Path, definition: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hive = state.ServiceState(state="up", pid=1, ready=False, lag=None)
    running(tmp_path, definition, ready=False, services={"hive": hive})
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "hive.log").write_text("opening the database\n")
    assert up(tmp_path, "--timeout", "0.3") == TIMEOUT
    assert "opening the database" in capsys.readouterr().err


def test_status_says_what_is_wrong_and_since_when(
    tmp_path: Path, definition: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    view = state.ServiceState(
        state="up",
        pid=7,
        ready=False,
        lag=3,
        restarts=4,
        last_error="ended by SIGKILL",
        since_us=1,
        blocked="gap in 3",
    )
    running(tmp_path, definition, services={"view": view}, problem="disk: full [of] data")
    assert run(["status", "--data", str(tmp_path)]) == OK
    said = capsys.readouterr().out
    assert "gap in 3" in said
    assert "problem: disk: full [of] data" in said
    assert " d " in said


@pytest.fixture
def supervisor() -> Iterator[subprocess.Popen[bytes]]:
    """A process that ends when it is asked to."""
    process = subprocess.Popen(SLEEP)
    yield process
    process.kill()
    process.wait()


def test_a_mesh_that_is_still_prepared_can_be_stopped(
    tmp_path: Path, definition: Path, supervisor: subprocess.Popen[bytes]
) -> None:
    running(tmp_path, definition, supervisor=processes.ref(supervisor.pid), ready=False)
    assert lifecycle.stop(tmp_path)
    assert supervisor.wait(10) == -signal.SIGTERM


def test_a_second_supervisor_touches_nothing(tmp_path: Path, definition: Path) -> None:
    lock = take_over(tmp_path)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "deploy.local.supervisor", str(tmp_path), str(definition)],
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        lock.close()
    assert done.returncode == 1
    assert "running" in done.stderr
    assert not (tmp_path / "ports.json").exists()
    assert not (tmp_path / "run" / "mesh.json").exists()


def test_why_the_supervisor_ended_is_said_at_once(
    tmp_path: Path,
    definition: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TWINSTREAM_PARTITIONS", "two")
    assert up(tmp_path / "data", "--pipeline", str(definition)) == FAILED
    assert "TWINSTREAM_PARTITIONS" in capsys.readouterr().err


def test_a_reason_of_an_earlier_mesh_is_not_said_again(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "supervisor.log"
    log.parent.mkdir()
    log.write_text('{"event": "mesh_failed", "reason": "long ago"}\n')
    begin = log.stat().st_size
    with log.open("a") as file:
        file.write("ImportError: no module\n")
    with pytest.raises(MeshError, match="ImportError: no module"):
        starting.await_ready(lambda: False, 1, tmp_path, 1.0, begin)


@pytest.mark.parametrize("torn", ["", '{"supervisor": {"pid": 1', "[]"])
def test_a_torn_state_is_none(torn: str, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    state.path_of(tmp_path).write_text(torn)
    assert state.read(tmp_path) is None


@pytest.mark.parametrize("name", ["TWINSTREAM_KAFKA", "TWINSTREAM_S3_ENDPOINT", "TWINSTREAM_HIVE"])
def test_addresses_of_engines_that_would_not_be_used_are_refused(
    tmp_path: Path,
    definition: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
) -> None:
    monkeypatch.setenv(name, "elsewhere:9092")
    assert up(tmp_path / "new", "--pipeline", str(definition)) == USAGE
    assert not (tmp_path / "new").exists()
    running(tmp_path, definition)
    assert up(tmp_path) == OK  # a mesh that runs is not what they are about: said, not refused
    said = " ".join(capsys.readouterr().err.split())
    assert said.count(f"{name} is set but not used without TWINSTREAM_EXTERNAL=1") == 2
