"""Runs a Plan: starts what is due, starts again what ended, records the state, and stops all in order.

As a process: `python -m deploy.local.supervisor DATA PIPELINE`; SIGTERM or SIGINT stops everything it started.
TWINSTREAM_SERVICES names the services to run, comma separated (`speed@2`: a second worker); default: each once.
"""

from __future__ import annotations

import errno
import fcntl
import os
import queue
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import structlog

from deploy.local import environment, logs, services
from deploy.local import plan as plans
from deploy.local import state as states
from deploy.local.child import Child
from deploy.local.folder import prepare
from deploy.local.plan import Plan, Step
from deploy.local.processes import Ref, end, marked, ref
from twinstream.errors import DefinitionError, MeshError, SettingsError
from twinstream.mesh.files import FULL
from twinstream.mesh.log import configure

TICK_S = 0.1
RECORD_EVERY_S = 1.0
GIVE_UP_AFTER = 5
"""Ends without ever having been ready, after which the mesh is said not to come up."""
STEP_PAUSE_S = 1.0
DISK = "disk"
FULL_DISK = "that of {} is full: free some room, and all goes on by itself"
_log = structlog.get_logger()


class Supervisor:
    """`run` is the loop and belongs to one thread, which starts all processes: they end when that thread ends."""

    def __init__(self, plan: Plan, lock: IO[str] | None = None) -> None:
        self.plan = plan
        self.children = {spec.name: Child(spec, plan.data) for spec in plan.specs}
        self._steps_done: set[str] = set()
        self._steps_begun: set[str] = set()
        self.fatal = ""
        """What no waiting mends: a wrong setting or definition."""
        self._problems: dict[str, str] = {}
        self._requests: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._stopped = threading.Event()
        self._recorded_at = 0.0
        self._lock = lock
        self._states: dict[str, states.ServiceState] = {}

    def run(self) -> None:
        """Until `stop` is called: keep everything up. Then stop it, services first.

        Raises MeshError when the folder belongs to another supervisor that lives.
        """
        lock = self._lock or take_over(self.plan.data)
        try:
            while not self._stopping.is_set():
                self._tick()
                self._stopping.wait(TICK_S)
        finally:
            self._stop_all()
            self._record()
            lock.close()
            self._stopped.set()

    def stop(self) -> None:
        """Ask `run` to end; safe in a signal handler and from any thread."""
        self._stopping.set()

    def wait_stopped(self, bound_s: float = 90.0) -> bool:
        return self._stopped.wait(bound_s)

    def ask(self, request: Callable[[], None]) -> None:
        """Have something done by the loop's thread within a tick."""
        self._requests.put(request)

    @property
    def problem(self) -> str:
        """What keeps the mesh from coming up, "" for nothing."""
        stuck = [
            f"{name} ended {child.restarts} times before it was ready, {child.last_error}; see {child.log_path}"
            for name, child in self.children.items()
            if child.restarts >= GIVE_UP_AFTER and not child.was_ready
        ]
        return "; ".join([*([self.fatal] if self.fatal else []), *self._problems.values(), *stuck])

    @property
    def ready(self) -> bool:
        """Whether every step is done and every wanted process serves."""
        steps = {step.name for step in self.plan.steps}
        return steps <= self._steps_done and all(
            child.ready for child in self.children.values() if child.wanted
        )

    def _tick(self) -> None:
        while not self._requests.empty():
            self._requests.get()()
        for child in self.children.values():
            self._tend(child)
        for step in self.plan.steps:
            if step.name not in self._steps_begun and self._reached(step.after):
                self._begin(step)
        if time.monotonic() - self._recorded_at > RECORD_EVERY_S:
            self._record()

    def _begin(self, step: Step) -> None:
        self._steps_begun.add(step.name)
        threading.Thread(target=self._do, args=(step,), name=step.name, daemon=True).start()

    @contextmanager
    def _noted(self, name: str) -> Iterator[None]:
        """What the machine refuses is a problem while it does, never the end of all."""
        try:
            yield
        except OSError as error:
            if name not in self._problems:
                _log.warning("machine_refused", name=name, reason=str(error))
            self._problems[name] = (
                f"{name}: {FULL_DISK.format(self.plan.data) if error.errno in FULL else error}"
            )
        else:
            self._problems.pop(name, None)

    def _tend(self, child: Child) -> None:
        status = child.check()
        if status is not None:
            _tell_ended(child, status)
            self._record()
        if child.due() and (child.restarts or self._reached(child.spec.after)):
            child.start()
            _tell_started(child)
            self._record()

    def _reached(self, names: tuple[str, ...]) -> bool:
        return all(
            name in self._steps_done or (name in self.children and self.children[name].ready)
            for name in names
        )

    def _do(self, step: Step) -> None:
        """Run a step until it succeeds; while it does not, its reason is the mesh's problem."""
        while not self._stopping.is_set():
            try:
                step.run(self._stopping)
            except (SettingsError, DefinitionError) as error:
                self.fatal = str(error)
                return
            except MeshError as error:
                self._problems[step.name] = str(error)
                _log.warning("step_failed", name=step.name, reason=str(error))
                self._stopping.wait(STEP_PAUSE_S)
            else:
                self._problems.pop(step.name, None)
                self._steps_done.add(step.name)
                return

    def _stop_all(self) -> None:
        """Services together, then the engines in the reverse order of their start."""
        services = [child for child in self.children.values() if child.spec.service]
        engines = [child for child in self.children.values() if not child.spec.service]
        stop_together(services)
        for engine in reversed(engines):
            stop_together([engine])

    def _record(self) -> None:
        """Write the state, and truncate what logs have grown too long."""
        self._recorded_at = time.monotonic()
        now_us = time.time_ns() // 1000
        self._states = {
            name: _state_of(child).changed(self._states.get(name), now_us)
            for name, child in self.children.items()
        }
        with self._noted(DISK):
            self._bound_logs()
            if not states.write(self.plan.data, self._state()):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _state(self) -> states.MeshState:
        return states.MeshState(
            supervisor=ref(os.getpid()) or Ref(0, 0),
            addresses=self.plan.addresses,
            env=self.plan.env,
            services=self._states,
            ready=self.ready,
            problem=self.problem,
            fatal=bool(self.fatal),
        )

    def _bound_logs(self) -> None:
        for child in self.children.values():
            logs.bound(child.log_path)
        logs.bound(self.plan.data / "logs" / "supervisor.log")


def _tell_ended(child: Child, status: int) -> None:
    _log.warning(
        "process_ended",
        name=child.spec.name,
        status=status,
        restarts=child.restarts,
        reason=child.last_error,
    )


def _tell_started(child: Child) -> None:
    _log.info(
        "process_started",
        name=child.spec.name,
        pid=child.pid,
        refused="" if child.pid else child.last_error,
    )


def take_over(data: Path) -> IO[str]:
    """Be the only supervisor of this folder until the returned file is closed, and end what a killed one left."""
    (data / "run").mkdir(parents=True, exist_ok=True)
    lock = (data / "run" / "lock").open("a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise MeshError(
            f"a mesh is running in {data} already: stop it with twinstream down"
        ) from None
    end_leftovers(data)
    return lock


def _state_of(child: Child) -> states.ServiceState:
    return states.ServiceState(
        state=child.state,
        pid=child.pid,
        ready=child.ready,
        lag=child.lag,
        restarts=child.restarts,
        last_error=child.last_error,
        blocked=child.blocked,
    )


def stop_together(children: list[Child]) -> None:
    """SIGTERM to all, then wait for each within its bound."""
    for child in children:
        child.ask_to_stop()
    begun = time.monotonic()
    for child in children:
        child.finish(max(0.1, child.spec.stop_bound_s - (time.monotonic() - begun)))


def end_leftovers(data: Path) -> list[int]:
    """End what a killed supervisor of this folder left; return the pids."""
    return end(marked(f"{data.absolute()}#"))


def main(data: str, pipeline: str) -> int:
    """Run the mesh of this data folder until a signal comes."""
    configure("supervisor")
    _raise_limit()
    try:
        supervisor = _planned(Path(data), pipeline)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: supervisor.stop())
        supervisor.run()
    except (MeshError, OSError) as error:
        _log.error("mesh_failed", reason=str(error))
        return 1
    return 0


def _planned(data: Path, pipeline: str) -> Supervisor:
    folder = prepare(data)
    lock = take_over(folder)
    _record_planning(folder, pipeline)
    names = services.wanted(os.environ)
    env = environment.of_mesh(os.environ)
    return Supervisor(plans.make(folder, pipeline, names, env=env, usual_ports=True), lock)


def _record_planning(data: Path, pipeline: str) -> None:
    """Say that a mesh begins here, so that `down` can end it and another `up` knows, while engines are still fetched."""
    env = environment.of_mesh(os.environ) | {"TWINSTREAM_PIPELINE": pipeline}
    states.write(
        data,
        states.MeshState(
            supervisor=ref(os.getpid()) or Ref(0, 0), services={}, addresses={}, env=env
        ),
    )


def _raise_limit() -> None:
    """As many open files as the machine allows: engines and stores need more than a shell's usual 1,024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
