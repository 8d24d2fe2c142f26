"""One supervised process: started in a session of its own, probed, started again after a growing pause when it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

import msgspec

from deploy.local.environment import of_machine
from deploy.local.processes import MARK, Ref, end, in_session, marked, ref
from twinstream.mesh.heartbeat import read_beat

TETHER = Path(__file__).with_name("tether.py")
PAUSES_S = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
SETTLED_S = 30.0
"""A process that ran so long before it ended is started again without a pause growing from earlier ends."""
STALE_S = 15.0
MAX_LOG_BYTES = 50_000_000


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """What to run; `after` names what must be ready first, `probe` says whether an engine serves (services beat instead)."""

    name: str
    argv: list[str]
    env: Mapping[str, str] = {}
    after: tuple[str, ...] = ()
    probe: Callable[[], bool] | None = None
    stop_bound_s: float = 8.0
    service: bool = True
    cwd: Path | None = None


class Child:
    """Runs a Spec. All methods but `ready`, `lag` and `pid` are for the supervisor's one thread."""

    def __init__(self, spec: Spec, data: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.spec = spec
        self.wanted = True
        self.restarts = 0
        self.was_ready = False
        self._data = data
        self._clock = clock
        self._process: subprocess.Popen[bytes] | None = None
        self._ref: Ref | None = None
        self._started_at = 0.0
        self._again_at = 0.0
        self._fast_ends = 0
        self._probed = threading.Event()
        self._mark = f"{data}#{spec.name};"

    @property
    def log_path(self) -> Path:
        return self._data / "logs" / f"{self.spec.name}.log"

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    @property
    def ref(self) -> Ref | None:
        return self._ref

    @property
    def state(self) -> str:
        """`up` (running), `restarting` (between two runs), `waiting` (not started yet) or `stopped`."""
        if self._process is not None:
            return "up"
        if not self.wanted:
            return "stopped"
        return "restarting" if self.restarts else "waiting"

    @property
    def ready(self) -> bool:
        """Whether it serves: the probe's last answer, or its own fresh heartbeat."""
        found = self._probed.is_set() if self.spec.probe else self._beat()[0]
        self.was_ready = self.was_ready or found
        return found

    @property
    def lag(self) -> int | None:
        return None if self.spec.probe else self._beat()[1]

    def due(self) -> bool:
        """Whether it should be started now."""
        return self.wanted and self._process is None and self._clock() >= self._again_at

    @property
    def due_at(self) -> float:
        """When it may be started again, by its clock."""
        return self._again_at

    def start(self) -> None:
        """Start it, its output appended to its log."""
        with self._log() as log:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(TETHER), str(os.getpid()), *self.spec.argv],
                env={**of_machine(os.environ), **self.spec.env, MARK: self._mark},
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd=self.spec.cwd, umask=0o077,
            )
        self._ref = ref(self._process.pid)
        self._started_at = self._clock()
        self._probed = threading.Event()
        if self.spec.probe:
            threading.Thread(target=self._probe, args=(self._process, self._probed), name=f"probe-{self.spec.name}", daemon=True).start()

    def check(self) -> int | None:
        """Notice its end: return the exit status once, and plan the next start; None while it runs."""
        if self._process is None or (status := self._process.poll()) is None:
            return None
        self._forget()
        self._fast_ends = 0 if self._clock() - self._started_at >= SETTLED_S else self._fast_ends + 1
        self.restarts += 1
        self._again_at = self._clock() + PAUSES_S[min(max(self._fast_ends - 1, 0), len(PAUSES_S) - 1)]
        return status

    def signal(self, number: int) -> None:
        """Send a signal to the process, if it runs."""
        if self._process is not None:
            self._process.send_signal(number)

    def start_at_once(self) -> None:
        """Want it (again), and without a pause."""
        self.wanted = True
        self._again_at, self._fast_ends = 0.0, 0

    def finish(self, bound_s: float) -> int | None:
        """Wait for its end after a signal, end it when the bound passes; return its exit status."""
        if self._process is None:
            return None
        try:
            status = self._process.wait(bound_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        self._forget()
        return status

    def ask_to_stop(self) -> None:
        """SIGCONT for one that was stopped, then SIGTERM."""
        self.wanted = False
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)

    def _forget(self) -> None:
        """After its end: nothing that it started stays."""
        if self._process is not None:
            end([*in_session(self._process.pid), *marked(self._mark)])
        self._process, self._ref = None, None
        self._probed.clear()

    def _beat(self) -> tuple[bool, int | None]:
        beat = read_beat(self._data / "run" / f"{self.spec.name}.json")
        if beat is None or beat.pid != self.pid:
            return False, None
        return beat.ready and time.time() - beat.at_us / 1e6 < STALE_S, beat.lag

    def _probe(self, process: subprocess.Popen[bytes], probed: threading.Event) -> None:
        """Ask the engine until it ends: five times a second until it serves, then every two seconds."""
        assert self.spec.probe is not None
        while process.returncode is None and self._process is process:
            (probed.set if self.spec.probe() else probed.clear)()
            threading.Event().wait(2.0 if probed.is_set() else 0.2)

    def _log(self) -> IO[bytes]:
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        if self.log_path.exists() and self.log_path.stat().st_size > MAX_LOG_BYTES:
            self.log_path.replace(self.log_path.with_suffix(".log.1"))
        return self.log_path.open("ab")
