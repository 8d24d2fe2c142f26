"""The supervisor starts in order, starts again what ended after a growing pause,
and leaves nothing behind.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.local import state
from deploy.local.child import PAUSES_S, Child, Spec
from deploy.local.plan import Plan, Step
from deploy.local.processes import MARK, alive, marked, ref
from deploy.local.supervisor import GIVE_UP_AFTER, Supervisor
from twinstream.errors import DefinitionError, MeshError
from twinstream.mesh.settings import MeshSettings

BEAT = """
import os, sys, time
from twinstream.mesh.heartbeat import Heartbeat
from twinstream.mesh.settings import MeshSettings
beat = Heartbeat(MeshSettings.from_env(), sys.argv[1])
while True:
    beat.beat(ready=True, lag=7)
    time.sleep(0.1)
"""
SLEEP = [sys.executable, "-I", "-S", "-c", "import time; time.sleep(600)"]


def wait_for(reached: Callable[[], object], bound_s: float = 20.0) -> None:
    give_up = time.monotonic() + bound_s
    pause = threading.Event()
    while not reached():
        assert time.monotonic() < give_up, "not reached in time"
        pause.wait(0.02)


def plan_of(data: Path, specs: list[Spec], steps: list[Step] | None = None) -> Plan:
    return Plan(
        data=data,
        settings=MeshSettings(pipeline="p", data=str(data)),
        env={},
        specs=specs,
        steps=steps or [],
        addresses={},
    )


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Callable[..., Supervisor]]:
    running: list[tuple[Supervisor, threading.Thread]] = []

    def start(specs: list[Spec], steps: list[Step] | None = None) -> Supervisor:
        supervisor = Supervisor(plan_of(tmp_path, specs, steps))
        thread = threading.Thread(target=supervisor.run)
        thread.start()
        running.append((supervisor, thread))
        return supervisor

    yield start
    for supervisor, thread in running:
        supervisor.stop()
        thread.join()


def service(tmp_path: Path, name: str, **more: object) -> Spec:
    env = {"TWINSTREAM_PIPELINE": "p", "TWINSTREAM_DATA": str(tmp_path)}
    return Spec(name=name, argv=[sys.executable, "-c", BEAT, name], env=env, **more)  # type: ignore[arg-type]


def test_a_service_is_ready_when_its_own_heartbeat_says_so(
    supervise: Callable[..., Supervisor], tmp_path: Path
) -> None:
    supervisor = supervise([service(tmp_path, "ingest")])
    wait_for(lambda: supervisor.ready)
    assert supervisor.children["ingest"].lag == 7


def test_another_process_takes_over_when_one_is_killed(
    supervise: Callable[..., Supervisor], tmp_path: Path
) -> None:
    supervisor = supervise([service(tmp_path, "ingest")])
    child = supervisor.children["ingest"]
    wait_for(lambda: child.ready)
    first = child.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: child.pid not in {None, first} and child.ready)
    assert child.restarts == 1


def test_nothing_starts_before_what_it_waits_for(
    supervise: Callable[..., Supervisor], tmp_path: Path
) -> None:
    gate, order = threading.Event(), list[str]()

    def prepare(_: threading.Event) -> None:
        gate.wait(20)
        order.append("topics")

    engine = Spec(name="kafka", argv=SLEEP, probe=lambda: True, service=False)
    supervisor = supervise(
        [engine, service(tmp_path, "ingest", after=("topics",))],
        [Step(name="topics", after=("kafka",), run=prepare)],
    )
    wait_for(lambda: supervisor.children["kafka"].ready)
    assert supervisor.children["ingest"].state == "waiting"
    gate.set()
    wait_for(lambda: supervisor.ready)
    assert order == ["topics"]


def test_a_step_is_tried_again_when_it_fails(supervise: Callable[..., Supervisor]) -> None:
    tries: list[int] = []

    def run(_: threading.Event) -> None:
        tries.append(1)
        if len(tries) < 2:
            raise MeshError("not yet")

    supervisor = supervise([], [Step(name="topics", run=run)])
    wait_for(lambda: supervisor.ready)
    assert len(tries) == 2


def test_a_wrong_definition_is_final(supervise: Callable[..., Supervisor], tmp_path: Path) -> None:
    def run(_: threading.Event) -> None:
        raise DefinitionError("no such field", "write it as declared", "pipeline.py", 3)

    supervisor = supervise([], [Step(name="topics", run=run)])
    wait_for(lambda: (found := state.read(tmp_path)) is not None and found.fatal)
    assert supervisor.problem == "pipeline.py:3: no such field; write it as declared"


def test_it_is_said_which_process_never_gets_ready(tmp_path: Path) -> None:
    now = [0.0]
    child = Child(
        Spec(name="view", argv=[sys.executable, "-I", "-S", "-c", "raise SystemExit(3)"]),
        tmp_path,
        lambda: now[0],
    )
    supervisor = Supervisor(plan_of(tmp_path, []))
    supervisor.children["view"] = child
    pauses = [_run_until_end(child, now) for _ in range(GIVE_UP_AFTER + 2)]
    assert pauses == [*PAUSES_S, PAUSES_S[-1]]
    assert "view ended 7 times before it was ready" in supervisor.problem


def test_the_pause_is_short_again_when_it_ran_a_while(tmp_path: Path) -> None:
    now = [0.0]
    child = Child(
        Spec(name="view", argv=[sys.executable, "-I", "-S", "-c", ""]), tmp_path, lambda: now[0]
    )
    assert [_run_until_end(child, now) for _ in range(3)] == list(PAUSES_S[:3])
    assert _run_until_end(child, now, ran_s=60.0) == PAUSES_S[0]


def _run_until_end(child: Child, now: list[float], ran_s: float = 0.0) -> float:
    """Run it to its end; return the pause before its next start, which is then due."""
    child.start()
    now[0] += ran_s
    wait_for(lambda: child.check() is not None)
    ended = now[0]
    assert not child.due()
    now[0] = next(ended + pause for pause in PAUSES_S if child.due_at <= ended + pause)
    return round(now[0] - ended, 6)


def test_children_of_a_process_end_with_it(
    supervise: Callable[..., Supervisor], tmp_path: Path
) -> None:
    parent = (
        f"import subprocess, sys; p = subprocess.Popen({SLEEP!r}); "
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(p.pid)); p.wait()"
    )
    supervisor = supervise(
        [Spec(name="batch", argv=[sys.executable, "-c", parent], probe=(tmp_path / "pid").exists)]
    )
    wait_for(lambda: supervisor.ready and (tmp_path / "pid").read_text())
    grandchild = ref(int((tmp_path / "pid").read_text()))
    assert grandchild is not None
    supervisor.stop()
    assert supervisor.wait_stopped()
    assert not alive(grandchild)


def test_a_process_is_ended_when_it_ignores_sigterm(
    supervise: Callable[..., Supervisor], tmp_path: Path
) -> None:
    deaf = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        "open(0 or 'deaf', 'w').close(); time.sleep(600)"
    )
    deaf = deaf.replace("0 or 'deaf'", repr(str(tmp_path / "deaf")))
    supervisor = supervise(
        [
            Spec(
                name="speed",
                argv=[sys.executable, "-c", deaf],
                probe=(tmp_path / "deaf").exists,
                stop_bound_s=0.5,
            )
        ]
    )
    wait_for(lambda: supervisor.ready)
    process = supervisor.children["speed"].ref
    assert process is not None
    supervisor.stop()
    assert supervisor.wait_stopped()
    assert not alive(process)


def test_a_folder_has_one_supervisor(supervise: Callable[..., Supervisor], tmp_path: Path) -> None:
    first = supervise([])
    wait_for(lambda: first.ready and state.read(tmp_path))
    with pytest.raises(MeshError, match="already"):
        Supervisor(plan_of(tmp_path, [])).run()


def test_processes_end_when_their_supervisor_is_killed(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from deploy.local.child import Spec; "
        "from deploy.local.plan import Plan; "
        "from deploy.local.supervisor import Supervisor; "
        "from twinstream.mesh.settings import MeshSettings; "
        f"Supervisor(Plan(data=Path({str(tmp_path)!r}), "
        f"settings=MeshSettings(pipeline='p'), env={{}}, steps=[], addresses={{}}, "
        f"specs=[Spec(name='kafka', argv={SLEEP!r}, probe=lambda: True, service=False)])).run()"
    )
    supervisor = subprocess.Popen([sys.executable, "-c", script])
    try:
        wait_for(lambda: (found := state.read(tmp_path)) is not None and found.ready)
        found = state.read(tmp_path)
        assert found is not None
        process = ref(found.services["kafka"].pid or 0)
        assert process is not None
    finally:
        supervisor.kill()
        supervisor.wait()
    wait_for(lambda: not alive(process))


def test_what_a_killed_supervisor_left_is_ended_by_the_next(
    supervise: Callable[..., Supervisor], tmp_path: Path
) -> None:
    env = {**os.environ, MARK: f"{tmp_path}#kafka;"}
    left = subprocess.Popen(SLEEP, start_new_session=True, env=env)
    try:
        wait_for(lambda: marked(f"{tmp_path}#"))
        supervisor = supervise([])
        wait_for(lambda: supervisor.ready)
        wait_for(lambda: left.poll() is not None)
    finally:
        left.kill()
        left.wait()


def test_a_process_of_a_like_name_lives_on_when_one_is_killed(
    supervise: Callable[..., Supervisor], tmp_path: Path
) -> None:
    supervisor = supervise([service(tmp_path, "ingest"), service(tmp_path, "ingest-http")])
    wait_for(lambda: supervisor.ready)
    child, other = supervisor.children["ingest"], supervisor.children["ingest-http"]
    first = child.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: child.pid not in {None, first} and child.ready)
    assert other.restarts == 0
