"""An embedded mesh inside this process, for tests, examples and fault runs:
the supervisor's loop in a thread.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Self

from deploy.local import plan as plans
from deploy.local.child import Child
from deploy.local.supervisor import Supervisor, stop_together
from twinstream.errors import MeshError, NotRunningError, SettingsError, WaitTimeoutError
from twinstream.mesh.settings import MeshSettings

TICK_S = 0.05


PATIENCE_S = 20.0


class EmbeddedMesh:
    """Kafka, S3 and Hive (or those named) and the named services, in the folder `data`;
    a context manager.
    """

    def __init__(
        self,
        data: str | Path,
        pipeline: str | Path = "",
        services: Iterable[str] = (),
        env: Mapping[str, str] | None = None,
        engines: Iterable[str] = plans.ENGINES,
    ) -> None:
        self.plan = plans.make(Path(data), str(pipeline), names=services, engines=engines, env=env)
        self.supervisor = Supervisor(self.plan)
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)

    @property
    def settings(self) -> MeshSettings:
        return self.plan.settings

    @property
    def env(self) -> dict[str, str]:
        """Environment of the mesh's processes, for one started beside them."""
        return self.plan.env

    @property
    def addresses(self) -> dict[str, str]:
        return self.plan.addresses

    def start(self) -> Self:
        """Begin; use `wait_ready` to wait."""
        self._thread.start()
        return self

    def wait_ready(self, timeout: float = 120.0, names: Iterable[str] = ()) -> Self:
        """Wait until everything (or those named) serves; raises what keeps it from it,
        or WaitTimeoutError.
        """
        wanted = list(names)
        self._wait(
            lambda: all(self.child(n).ready for n in wanted) if wanted else self.supervisor.ready,
            timeout,
            "ready",
        )
        return self

    def child(self, name: str) -> Child:
        """The supervised process of this name."""
        try:
            return self.supervisor.children[name]
        except KeyError:
            raise MeshError(
                f"no process {name!r} in this mesh: it has {', '.join(self.supervisor.children)}"
            ) from None

    def pid(self, name: str) -> int:
        """Its pid; raises NotRunningError between two runs."""
        pid = self.child(name).pid
        if pid is None:
            raise NotRunningError(f"{name} is not running now")
        return pid

    def log(self, name: str) -> str:
        """All that it has written so far."""
        path = self.child(name).log_path
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def kill(self, name: str, number: int = signal.SIGKILL) -> int:
        """Send a signal; the supervisor starts it again if it ends. Returns the pid that got it."""
        pid = self.pid(name)
        self._in_loop(lambda: self.child(name).signal(number))
        return pid

    def restart(self, name: str, timeout: float = 120.0) -> None:
        """End it politely and wait until a new one serves."""
        self.stop_one(name)
        self.start_one(name, timeout)

    def stop_one(self, name: str) -> None:
        """End it and leave it ended."""
        self._in_loop(lambda: stop_together([self.child(name)]))

    def start_one(self, name: str, timeout: float = 120.0) -> None:
        """Start one that was stopped (or waits to be started again) and wait until it serves."""
        self._in_loop(self.child(name).start_at_once)
        self._wait(lambda: self.child(name).ready, timeout, f"{name} ready")

    def wait_replaced(
        self,
        name: str,
        pid: int,
        timeout: float = 60.0,
    ) -> None:
        """After a kill: wait until another process than `pid` serves."""
        self._wait(
            lambda: self.child(name).pid not in {None, pid} and self.child(name).ready,
            timeout,
            f"{name} replaced",
        )

    def stop(self) -> None:
        """End everything; what it kept in `data` stays."""
        self.supervisor.stop()
        if self._thread.ident is not None:
            self._thread.join(120.0)

    def __enter__(self) -> Self:
        self.start()
        try:
            return self.wait_ready()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _run(self) -> None:
        try:
            self.supervisor.run()
        except MeshError as error:
            self._failure = error

    def _in_loop(self, request: Callable[[], object], timeout: float = 60.0) -> None:
        done = threading.Event()

        def carry_out() -> None:
            request()
            done.set()

        self.supervisor.ask(carry_out)
        if not done.wait(timeout):
            raise WaitTimeoutError(f"the supervisor did not answer within {timeout} s")

    def _wait(
        self,
        reached: Callable[[], bool],
        timeout: float,
        what: str,
    ) -> None:
        begun = time.monotonic()
        while not reached():
            self._raise_problem(time.monotonic() - begun)
            if time.monotonic() > begun + timeout:
                waiting = [n for n, c in self.supervisor.children.items() if not c.ready]
                raise WaitTimeoutError(
                    f"not {what} within {timeout} s; not ready: {waiting}; "
                    f"logs in {self.plan.data / 'logs'}"
                )
            time.sleep(TICK_S)

    def _raise_problem(self, waited_s: float) -> None:
        """What no waiting mends; a problem that may pass, after a while."""
        if self._failure is not None:
            raise self._failure
        if self.supervisor.fatal:
            raise SettingsError(self.supervisor.fatal)
        problem = self.supervisor.problem
        if problem and waited_s > PATIENCE_S:
            raise NotRunningError(problem)
