"""One supervised process: started in a session of its own, probed, started again after a growing
pause when it ends.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from deploy.local import logs
from deploy.local.environment import of_machine
from deploy.local.processes import MARK, Ref, end, in_session, marked, ref
from twinstream.mesh.heartbeat import Beat, read_beat

TETHER = Path(__file__).with_name("tether.py")
PAUSES_S = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
SETTLED_S = 30.0
"""A process that ran so long before it ended is started again without a pause growing from earlier
ends.
"""
STALE_S = 15.0
"""A beat that has not changed for so long, by this process's own clock, is no sign of life."""


class Pulse:
    """Whether beats go on: their own times come from a clock that may be set, so only their
    changing counts.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._last: tuple[int, int] | None = None
        self._changed_at = 0.0

    def fresh(self, beat: Beat) -> bool:
        """Whether this beat differs from the one seen `STALE_S` ago."""
        said = (beat.pid, beat.at_us)
        if said != self._last:
            self._last, self._changed_at = said, self._clock()
        return self._clock() - self._changed_at < STALE_S


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """What to run; `after` names what must be ready first, `probe` says whether an engine serves
    (services beat instead).
    """

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

    def __init__(
        self,
        spec: Spec,
        data: Path,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.spec = spec
        self.wanted = True
        self.restarts = 0
        self.was_ready = False
        self.last_error = ""
        """What it said when it ended last, or why it could not be started."""
        self._pulse = Pulse(clock)
        self._log_begin = 0
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
        """`up` (running), `restarting` (between two runs), `waiting` (not started yet) or
        `stopped`.
        """
        if self._process is not None:
            return "up"
        if not self.wanted:
            return "stopped"
        return "restarting" if self.restarts else "waiting"

    @property
    def ready(self) -> bool:
        """Whether it serves: the probe's last answer, or its own fresh heartbeat."""
        found = self._probed.is_set() if self.spec.probe else self._beats()
        self.was_ready = self.was_ready or found
        return found

    @property
    def lag(self) -> int | None:
        beat = self._beat()
        return beat.lag if beat else None

    @property
    def blocked(self) -> str:
        """What it says that it waits for, "" for nothing."""
        beat = self._beat()
        if beat is None:
            return ""
        reason = beat.detail.get("blocked") or (not beat.ready and beat.detail.get("reason"))
        return str(reason or "")

    def due(self) -> bool:
        """Whether it should be started now."""
        return self.wanted and self._process is None and self._clock() >= self._again_at

    @property
    def due_at(self) -> float:
        """When it may be started again, by its clock."""
        return self._again_at

    def start(self) -> None:
        """Start it, its output appended to its log; where the machine cannot, that counts as an
        end.
        """
        try:
            self._start()
        except OSError as error:
            self.last_error = f"cannot be started: {error}"
            self.restarts += 1
            self._plan_again()

    def _start(self) -> None:
        self.log_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._log_begin = logs.size_of(self.log_path)
        self._process = self._opened()
        self._ref = ref(self._process.pid)
        self._started_at = self._clock()
        self._probed = threading.Event()
        if self.spec.probe:
            threading.Thread(
                target=self._probe,
                args=(self._process, self._probed),
                name=f"probe-{self.spec.name}",
                daemon=True,
            ).start()

    def _opened(self) -> subprocess.Popen[bytes]:
        """Its process, which says what it says into its log, and ends with this one."""
        with self.log_path.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-I", "-S", str(TETHER), str(os.getpid()), *self.spec.argv],
                env={**of_machine(os.environ), **self.spec.env, MARK: self._mark},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=self.spec.cwd,
                umask=0o077,
            )

    def check(self) -> int | None:
        """Notice its end: return the exit status once, and plan the next start;
        None while it runs.
        """
        if self._process is None or (status := self._process.poll()) is None:
            return None
        self._forget()
        self.last_error = self._why(status)
        self.restarts += 1
        self._plan_again()
        return status

    def _plan_again(self) -> None:
        self._fast_ends = (
            0 if self._clock() - self._started_at >= SETTLED_S else self._fast_ends + 1
        )
        self._again_at = (
            self._clock() + PAUSES_S[min(max(self._fast_ends - 1, 0), len(PAUSES_S) - 1)]
        )

    def last_words(self) -> str:
        """The last lines that it has written since its last start."""
        try:
            return logs.last_words(self.log_path, self._log_begin)
        except OSError as error:
            return f"its log cannot be read: {error}"

    def _why(self, status: int) -> str:
        how = f"ended by {_signal_name(-status)}" if status < 0 else f"ended with status {status}"
        said = self.last_words()
        return f"{how}: {said}" if said else how

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

    def _beat(self) -> Beat | None:
        """What the running process said last of itself."""
        if self.spec.probe:
            return None
        beat = read_beat(self._data / "run" / f"{self.spec.name}.json")
        return beat if beat is not None and beat.pid == self.pid else None

    def _beats(self) -> bool:
        beat = self._beat()
        return beat is not None and self._pulse.fresh(beat) and beat.ready

    def _probe(self, process: subprocess.Popen[bytes], probed: threading.Event) -> None:
        """Ask the engine until it ends: five times a second until it serves, then every two
        seconds.
        """
        assert self.spec.probe is not None
        while process.returncode is None and self._process is process:
            (probed.set if self.spec.probe() else probed.clear)()
            threading.Event().wait(2.0 if probed.is_set() else 0.2)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
