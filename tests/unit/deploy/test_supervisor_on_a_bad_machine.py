"""The supervisor outlives a full disk, a clock that is set, a process that cannot be started and
one that shouts.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.local import logs, state
from deploy.local.child import STALE_S, Child, Pulse, Spec
from deploy.local.supervisor import Supervisor
from tests.unit.disk import fill
from tests.unit.test_supervisor import SLEEP, plan_of, service, wait_for
from twinstream.mesh.heartbeat import Beat

PYTHON = [sys.executable, "-I", "-S", "-c"]
Start = Callable[[Path, list[Spec]], Supervisor]


@pytest.fixture
def start() -> Iterator[Start]:
    running: list[tuple[Supervisor, threading.Thread]] = []

    def begin(data: Path, specs: list[Spec]) -> Supervisor:
        supervisor = Supervisor(plan_of(data, specs))
        thread = threading.Thread(target=supervisor.run)
        thread.start()
        running.append((supervisor, thread))
        return supervisor

    yield begin
    for supervisor, thread in running:
        supervisor.stop()
        thread.join()


def found(data: Path) -> state.MeshState:
    """The state that the supervisor wrote last."""
    read = state.read(data)
    assert read is not None
    return read


def test_a_full_disk_stops_nothing_and_is_said(start: Start, small_disk: Path) -> None:
    supervisor = start(
        small_disk, [service(small_disk, "ingest"), Spec(name="s3", argv=SLEEP, probe=lambda: True)]
    )
    wait_for(lambda: supervisor.ready and state.read(small_disk) is not None)
    fill(small_disk)
    wait_for(lambda: "full" in found(small_disk).problem)
    engine = supervisor.children["s3"]
    first = engine.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    wait_for(
        lambda: (
            engine.pid not in {None, first} and found(small_disk).services["s3"].pid == engine.pid
        )
    )
    assert supervisor.ready
    (small_disk / "filler").unlink()
    wait_for(lambda: found(small_disk).problem == "")
    assert supervisor.children["ingest"].restarts == 0


def test_a_mesh_begins_on_a_full_disk_when_there_is_room_again(
    start: Start, small_disk: Path
) -> None:
    for name in ("run", "logs"):
        (small_disk / name).mkdir()
    fill(small_disk)
    supervisor = start(small_disk, [service(small_disk, "ingest")])
    wait_for(lambda: supervisor.problem)
    assert "full" in supervisor.problem
    (small_disk / "filler").unlink()
    wait_for(
        lambda: supervisor.ready and (read := state.read(small_disk)) is not None and read.ready
    )


def test_what_cannot_be_started_is_tried_again_and_said(start: Start, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    supervisor = start(
        tmp_path,
        [Spec(name="s3", argv=SLEEP, cwd=gone, probe=lambda: True), service(tmp_path, "ingest")],
    )
    wait_for(lambda: supervisor.children["ingest"].ready and supervisor.children["s3"].restarts > 1)
    assert "No such file or directory" in supervisor.children["s3"].last_error
    gone.mkdir()
    wait_for(lambda: supervisor.ready)


def test_it_is_said_why_a_process_ended(start: Start, tmp_path: Path) -> None:
    supervisor = start(
        tmp_path, [Spec(name="view", argv=[*PYTHON, "raise ValueError('no such column')"])]
    )
    wait_for(lambda: found_or_none(tmp_path, "view"))
    view = found(tmp_path).services["view"]
    assert view.last_error == "ended with status 1: ValueError: no such column"
    assert view.restarts >= 1
    wait_for(lambda: supervisor.problem)
    assert "ValueError: no such column" in supervisor.problem


def found_or_none(data: Path, name: str) -> str:
    """The last error of a process, "" for none."""
    read = state.read(data)
    return "" if read is None else read.services[name].last_error


def test_a_signal_is_named(tmp_path: Path) -> None:
    child = Child(Spec(name="view", argv=[*PYTHON, "import os; os.abort()"]), tmp_path)
    child.start()
    wait_for(lambda: child.check() is not None)
    assert child.last_error == "ended by SIGABRT"


def test_it_is_said_since_when_a_process_is_what_it_is() -> None:
    before = state.ServiceState(state="up", pid=1, ready=False, lag=None, since_us=5)
    assert since(before, ready=False) == 5
    assert since(before, ready=True) == 9
    assert (
        state.ServiceState(state="up", pid=1, ready=False, lag=None).changed(None, 9).since_us == 9
    )


def since(before: state.ServiceState, *, ready: bool) -> int:
    """Since when a process is (not) ready that was not ready before, 9 being now."""
    return state.ServiceState(state="up", pid=1, ready=ready, lag=8).changed(before, 9).since_us


def test_the_log_of_a_running_process_is_bounded(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs.bound, "__defaults__", (100_000,))
    loud = "import itertools\nfor n in itertools.count(): print(f'line {n}', flush=True)"
    supervisor = start(tmp_path, [Spec(name="view", argv=[*PYTHON, loud], probe=lambda: True)])
    older = supervisor.children["view"].log_path.with_suffix(".log.1")
    wait_for(older.exists)
    first = older.stat().st_mtime_ns
    wait_for(lambda: older.stat().st_mtime_ns != first)
    assert supervisor.children["view"].restarts == 0


@pytest.mark.parametrize("set_back_us", [-3_600_000_000, 0, 3_600_000_000])
def test_a_hung_process_is_stale_whatever_its_clock_says(set_back_us: int) -> None:
    now = [0.0]
    pulse = Pulse(lambda: now[0])
    beat = Beat(name="view", pid=1, ready=True, at_us=4_000_000_000_000_000 + set_back_us)
    assert pulse.fresh(beat)
    now[0] = STALE_S - 0.1
    assert pulse.fresh(beat)
    now[0] = STALE_S
    assert not pulse.fresh(beat)


def test_a_process_whose_clock_was_set_back_is_alive() -> None:
    now = [0.0]
    pulse = Pulse(lambda: now[0])
    for second in range(60):
        now[0] = float(second)
        assert pulse.fresh(Beat(name="view", pid=1, ready=True, at_us=10_000 - second))


def test_what_a_process_waits_for_is_said(start: Start, tmp_path: Path) -> None:
    blocked = service(tmp_path, "view")
    script = blocked.argv[2].replace(
        "ready=True, lag=7", "ready=False, detail={'blocked': 'partition 3'}"
    )
    supervisor = start(
        tmp_path, [Spec(name="view", argv=[sys.executable, "-c", script, "view"], env=blocked.env)]
    )
    wait_for(lambda: supervisor.children["view"].blocked)
    assert supervisor.children["view"].blocked == "partition 3"
