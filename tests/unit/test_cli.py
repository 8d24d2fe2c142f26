"""Commands: exit codes that mean something, and words instead of stack traces."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from deploy.local import processes, state
from schemas.events import ViewPublished
from twinstream.cli.main import run
from twinstream.cli.records import _await_views
from twinstream.mesh.exit_codes import FAILED, NOT_RUNNING, OK, USAGE

COMMANDS = (
    "up",
    "down",
    "status",
    "logs",
    "doctor",
    "demo",
    "publish",
    "send",
    "seal",
    "predict",
    "watch",
    "topics",
)


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TWINSTREAM_EXTERNAL", "TWINSTREAM_PIPELINE", "TWINSTREAM_DATA"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command, "--help"]) == OK
    assert "Usage" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["status"],
        ["down"],
        ["seal"],
        ["publish", "weather", "a.csv"],
        ["send", "weather", "-"],
        ["predict", "late", "{}"],
        ["watch"],
    ],
)
def test_it_is_said_how_to_start_when_nothing_runs(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*arguments, "--data", str(tmp_path)]) == NOT_RUNNING
    said = capsys.readouterr().err
    assert "error:" in said
    assert "Traceback" not in said


def test_a_wrong_command_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["stauts"]) == USAGE
    assert "status" in capsys.readouterr().err


def test_a_missing_definition_is_wrong_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["up", "--pipeline", str(tmp_path / "none.py"), "--data", str(tmp_path)]) == USAGE
    assert "--pipeline" in capsys.readouterr().err


def test_status_is_json_when_nothing_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["status", "--json", "--data", str(tmp_path)]) == NOT_RUNNING
    found = msgspec.json.decode(capsys.readouterr().out)
    kafka = found["services"]["kafka"]
    assert kafka | {"state": "stopped", "pid": None, "ready": False, "lag": None} == kafka
    assert {"restarts", "last_error", "since_us", "blocked"} <= kafka.keys()


def test_topics_are_listed_without_a_mesh(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["topics", "--json", "--data", str(tmp_path)]) == OK
    assert "mesh.metric-observed.v1" in {
        topic["name"] for topic in msgspec.json.decode(capsys.readouterr().out)
    }


def test_doctor_tells_scripts_what_it_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["doctor", "--json", "--data", str(tmp_path)]) in {OK, FAILED}
    assert {"Python", "Java", "jars"} <= {
        finding["what"] for finding in msgspec.json.decode(capsys.readouterr().out)
    }


def test_who_waits_for_an_epoch_is_told_when_the_batch_layer_falls(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = processes.ref(os.getpid())
    assert mine is not None

    def write(restarts: int) -> None:
        batch = state.ServiceState(state="up", pid=1, ready=False, lag=None, restarts=restarts)
        state.write(
            tmp_path,
            state.MeshState(supervisor=mine, services={"batch": batch}, addresses={}, env={}),
        )

    class Reader:
        polls = 0

        def poll(self, _: float) -> tuple[ViewPublished, None] | None:
            self.polls += 1
            if self.polls in {2, 4}:
                write(4 + self.polls)
            return (
                None
                if self.polls < 6
                else (
                    ViewPublished(
                        view="v",
                        source="s",
                        epoch=self.polls - 4,
                        cut={},
                        files=[],
                        definition_digest="",
                        as_of_us=0,
                        complete_since={},
                    ),
                    None,
                )
            )

    write(3)
    assert _await_views(Reader(), {"v"}, 1, 60.0, tmp_path) == 2  # type: ignore[arg-type]
    assert capsys.readouterr().err.count("batch ended and is started again") == 2
