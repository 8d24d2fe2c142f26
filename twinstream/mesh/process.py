"""The one way in which a process runs: settings, then its wiring, until a signal or an error.

Signals, exit status and supervised threads: `ending.py`. What a service is, as data: `service.py`.
"""

from __future__ import annotations

import ctypes
import faulthandler
import signal
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Generic, NoReturn

import structlog

from twinstream.define.pipeline import Pipeline
from twinstream.mesh import log, pipeline_file
from twinstream.mesh.clock import WallClock
from twinstream.mesh.dead_letters import DeadLetters
from twinstream.mesh.ending import Ending
from twinstream.mesh.events import EventPublisher
from twinstream.mesh.heartbeat import BackgroundBeat, Heartbeat, Vitals, every_second
from twinstream.mesh.kafka import declared
from twinstream.mesh.kafka.reach import Reach, watched
from twinstream.mesh.metrics import Metrics
from twinstream.mesh.quarantine import Quarantine
from twinstream.mesh.service import Own, Service, filled
from twinstream.mesh.settings import MeshSettings

PR_SET_PDEATHSIG = 1


class Process(Generic[Own]):
    """What every process has; a wiring makes the rest of it."""

    def __init__(
        self,
        service: Service[Own],
        settings: MeshSettings,
        own: Own,
        pipeline: Pipeline,
        ending: Ending,
    ) -> None:
        self.service, self.settings, self.own = service, settings, own
        self.pipeline, self.ending, self.stopping = pipeline, ending, ending.stopping
        self.name = self._named()
        self.clock, self.log = WallClock(), structlog.get_logger()

    @cached_property
    def reach(self) -> Reach:
        """Whether Kafka answers."""
        return watched(self.settings)

    @cached_property
    def heartbeat(self) -> Heartbeat:
        """This process's sign of life."""
        return Heartbeat(self.settings, self.name, away=self._away)

    @cached_property
    def metrics(self) -> Metrics:
        """This process's metrics."""
        metrics = Metrics(self.settings, self.service.name)
        self.ending.at_end(metrics.close)
        return metrics

    def beats(self, vitals: Callable[[], Vitals], first_s: float = 0.0) -> None:
        """Ask once a second, in a thread, how the process is, and say it; the first time after
        `first_s`.
        """

        def beating() -> None:
            self.stopping.wait(first_s)
            every_second(self.stopping, lambda: self.heartbeat.beat(*vitals()))

        self.ending.thread("pulse", beating)

    def pulse(self) -> BackgroundBeat:
        """For a loop that tells how it is, and may fall silent."""
        pulse = BackgroundBeat(self.heartbeat)
        self.ending.thread("pulse", lambda: every_second(self.stopping, pulse.beat))
        return pulse

    def quarantine(self, publisher: EventPublisher | None = None) -> Quarantine:
        """What becomes of inputs that cannot be handled."""
        letters = DeadLetters(self.settings, self.service.writer, publisher)
        return Quarantine(self.settings, self.name, letters, self.metrics)

    def _away(self) -> str:
        return "" if self.service.serves else self.reach.away

    def _named(self) -> str:
        """A further worker on a host beats, and remembers what it refused, under its own name."""
        instance = getattr(self.own, "instance", "1")
        alone = instance in {"1", self.settings.instance}
        return self.service.name if alone else f"{self.service.name}-{instance}"


def run(service: Service[Own], wiring: Callable[[Process[Own]], object]) -> NoReturn:
    """Run a service until a signal or an error; `wiring` works, and returns when told to stop."""
    log.configure(service.name)
    faulthandler.enable()
    ending = Ending(service.drain_s)
    ending.listen()
    ending.watch_threads()
    ending.leave(ending.run(lambda: wiring(_begun(service, ending))))


def _begun(service: Service[Own], ending: Ending) -> Process[Own]:
    process = _made(service, ending)
    process.heartbeat.beat(ready=False)
    ending.at_end(lambda: process.heartbeat.beat(False, None, {"state": "stopped"}))
    process.log.info("started", **_facts(process.settings))
    return process


def _facts(settings: MeshSettings) -> dict[str, object]:
    return {
        "kafka": settings.kafka,
        "clock": settings.clock,
        "partitions": settings.partitions,
        "instance": settings.instance,
    }


def worker(service: Service[Own]) -> Process[Own]:
    """For a process that another one of the same service started, and that ends with it, even by
    kill -9: nothing is left that holds the port.
    """
    log.configure(service.name)
    if Path("/proc/self/stat").exists():
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    ending = Ending(service.drain_s)
    ending.watch_threads()
    return _made(service, ending)


def _made(service: Service[Own], ending: Ending) -> Process[Own]:
    """From the environment. From now on this process reads and writes what its service declares,
    and nothing else.
    """
    settings, own = MeshSettings.from_env(), service.settings.from_env()
    pipeline = pipeline_file.load(settings.pipeline)
    declared.only(filled(service.reads, pipeline), filled(service.writes, pipeline))
    return Process(service, settings, own, pipeline, ending)
