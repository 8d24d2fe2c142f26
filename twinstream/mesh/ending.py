"""How a process ends: when it is told to, when an error stops it, or when one of its threads dies.
Its exit status is one of `twinstream.mesh.exit_codes`, always.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Any, NoReturn

import structlog

from twinstream.errors import MeshError
from twinstream.mesh.exit_codes import FAILED, OK, exit_code

LAST_S = 3.0
"""For goodbyes; then the process is gone, whatever holds it."""
OURS = {"twinstream", "ingest_svc", "preprocess_svc", "train_svc", "predict_svc", "monitor_svc"}
Act = Callable[[], object]
_log = structlog.get_logger()


class Ending:
    """One per process. No thread and no engine keeps a process alive beyond it."""

    def __init__(self, drain_s: float) -> None:
        self.stopping = threading.Event()
        self._drain_s = drain_s
        self._on_stop: list[Act] = []
        self._broken_off: list[Act] = []
        self._goodbyes = ExitStack()

    def listen(self) -> None:
        """SIGTERM and SIGINT stop this process from now on."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stop())

    def watch_threads(self) -> None:
        """A thread of ours that an error ends takes the process with it; an engine's does not."""
        threading.excepthook = self._uncaught

    def on_stop(self, act: Act) -> None:
        """Do this once `stop` is called: in the main thread, in the middle of whatever it does."""
        self._on_stop.append(act)

    def if_broken_off(self, act: Act) -> None:
        """Say this when work does not end within its time."""
        self._broken_off.append(act)

    def at_end(self, act: Act) -> None:
        """Do this before the process leaves, the last first."""
        self._goodbyes.callback(act)

    def stop(self) -> None:
        """Work may go on for `drain_s`, which is never needed for what Kafka or a store has."""
        if self.stopping.is_set():
            return
        _after(self._drain_s, self.break_off)
        _after(self._drain_s + LAST_S, lambda: os._exit(OK))
        self.stopping.set()
        for act in self._on_stop:
            act()

    def break_off(self) -> NoReturn:
        """Leave in the middle of work, as was asked for: the next process does it again."""
        _log.warning("broken_off", seconds=self._drain_s)
        _say(self._broken_off)
        gone(OK)

    def leave(self, status: int) -> NoReturn:
        """Say goodbye and be gone."""
        self.stopping.set()
        _after(LAST_S + self._drain_s, lambda: os._exit(status))
        try:
            self._goodbyes.close()
        except Exception as error:  # noqa: BLE001  (the process ends anyway)
            _log.warning("closed_with_loss", reason=str(error))
        gone(status)

    def run(self, work: Act) -> int:
        """Do the process's work; returns its exit status."""
        try:
            work()
        except SystemExit as error:
            return _status(error.code)
        except Exception as error:  # noqa: BLE001  the process's one catch-all
            return self._failed(error)
        _log.info("ended")
        return OK

    def _failed(self, error: Exception) -> int:
        if isinstance(error, MeshError):
            _log.error("stopped", reason=str(error))
            return exit_code(error)
        if self.stopping.is_set():  # an engine ended under a step that goes on
            _log.warning("broken_off", reason=repr(error))
            _say(self._broken_off)
            return OK
        _log.error("failed", exc_info=error)
        return FAILED

    def thread(self, name: str, work: Act) -> None:
        """Run beside; if it ends before the process is told to stop, the process ends with it."""
        threading.Thread(target=self._beside, args=(name, work), name=name, daemon=True).start()

    def _beside(self, name: str, work: Act) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001  a thread that dies must not go unnoticed
            self._dead(name, error)
        else:
            if not self.stopping.is_set():
                self._dead(name, RuntimeError("it ended, and nobody asked it to"))

    def _uncaught(self, args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None and _ours(args.exc_traceback):
            self._dead(getattr(args.thread, "name", ""), args.exc_value)
        else:
            threading.__excepthook__(args)

    def _dead(self, name: str, error: BaseException) -> None:
        if self.stopping.is_set():
            _log.warning("thread_broken_off", thread=name, reason=repr(error))
            return
        _log.error("thread_failed", thread=name, exc_info=error)
        gone(exit_code(error))


def gone(status: int) -> NoReturn:
    """Leave now. A JVM, or a thread that waits for Kafka, would hold an ordinary exit."""
    with suppress(Exception):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status)


def _ours(trace: TracebackType | None) -> bool:
    """Whether a thread began in this code base."""
    while trace is not None:
        module = str(trace.tb_frame.f_globals.get("__name__", ""))
        if module != "threading":
            return module.partition(".")[0] in OURS
        trace = trace.tb_next
    return False


def _status(code: Any) -> int:
    """What `sys.exit(code)` would give."""
    return code if isinstance(code, int) else OK if code is None else FAILED


def _say(words: list[Act]) -> None:
    """As far as anyone listens."""
    for word in words:
        with suppress(Exception):
            word()


def _after(seconds: float, act: Act) -> None:
    timer = threading.Timer(seconds, act)
    timer.daemon = True
    timer.start()
