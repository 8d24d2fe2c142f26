"""Reads all topics to their end, does what is next, and reads on. State is what the topics say."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from typing import Any, Protocol

import msgspec
import structlog

from schemas.events import (
    Event,
    ModelPromoted,
    ModelRejected,
    ModelTrained,
)
from train_svc.backlog import UNTRAINED, Backlog, Judgement, Training
from train_svc.ports import Ports
from train_svc.service import WORK
from twinstream.errors import PermanentError, PublishError, TransientError
from twinstream.mesh.attempts import Attempts
from twinstream.protocol.model_metrics import HIGH, LOW, VALIDATION

READING, WAITING = "reading", "waiting"
PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
LONGEST_REASON, LONGEST_TRACE = 2000, 8000
log = structlog.get_logger()
Work = Training | Judgement


class Reader(Protocol):
    """Events of the topics, from their beginning."""

    def poll(
        self,
        timeout: float = 1.0,
    ) -> tuple[Event, Any] | None: ...
    def lag(self) -> int: ...


class Publisher(Protocol):
    """Publishes events in order."""

    def publish(
        self,
        event: Event,
        key: str | bytes | None = None,
        *,
        wait: bool = True,
    ) -> object: ...


class Blocked(msgspec.Struct, frozen=True, kw_only=True):
    """What this service cannot finish now, why, and since when."""

    step: str
    reason: str
    since_us: int


class Trainer:
    """Reads all topics to their end, does what is next, and reads on.

    `state` says what it is doing, `blocked` what it cannot finish. Work that fails is put off, and
    other work goes on; what failed for good becomes a ModelRejected, once.
    """

    def __init__(
        self,
        reader: Reader,
        publisher: Publisher,
        ports: Ports,
        attempts: Attempts,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reader, self._publisher, self._ports = reader, publisher, ports
        self._attempts, self._monotonic = attempts, monotonic
        self._backlog = Backlog([model.name for model in ports.pipeline.models])
        self._put_off: dict[str, tuple[int, float]] = {}
        self._blocked: dict[str, Blocked] = {}
        self.state = READING

    @property
    def blocked(self) -> Blocked | None:
        """What has waited longest. Safe for other threads."""
        return next(iter(list(self._blocked.values())), None)

    def run(self) -> None:
        """For ever; ends by an exception or a signal."""
        while True:
            try:
                self.step()
            except TransientError as error:
                self._block(READING, error)
                time.sleep(PAUSE_S)

    def step(self) -> bool:
        """Reads to the end and does one piece of work, or waits up to a second for an event.

        True when work was done. Raises TransientError while Kafka is away.
        """
        self._read_all()
        work = self._next()
        if work is None:
            self.state = WAITING
            self._read(1.0)
            return False
        self._do(work)
        return True

    def _read_all(self) -> None:
        """What is there now; what comes meanwhile, as in a flood, is read after the next work."""
        left = self._reader.lag()
        while left > 0:
            left = left - 1 if self._read(0.2) else min(left, self._reader.lag())
        self._blocked.pop(READING, None)

    def _read(
        self,
        timeout_s: float,
    ) -> bool:
        found = self._reader.poll(timeout_s)
        if found is not None:
            self._backlog.apply(found[0])
        return found is not None

    def _next(self) -> Work | None:
        """Of the work that is not put off, what failed least often."""
        now = self._monotonic()
        digest, growth = self._ports.pipeline.digest, self._ports.settings.min_growth
        works = {step_of(work): work for work in self._backlog.works(digest, growth)}
        for step in self._put_off.keys() - works.keys():  # a newer set took its place
            self._forget(step)
        waits = {step: self._put_off.get(step, (0, now)) for step in works}
        due = [step for step in works if waits[step][1] <= now]
        return works[min(due, key=lambda step: waits[step][0])] if due else None

    def _do(
        self,
        work: Work,
    ) -> None:
        step, started = step_of(work), self._monotonic()
        self.state = f"{step.split()[0]} {work.training_set.model}"
        try:
            events = self._events(work, step)
        except Exception as error:  # noqa: BLE001  (put off; `_events` counts what is not transient)
            self._wait(step, error)
            return
        for event in events:
            told = self._told(event, work, step)
            _tell(told, work, seconds=round(self._monotonic() - started, 2))
        self._attempts.done(step)
        self._forget(step)

    def _forget(
        self,
        step: str,
    ) -> None:
        self._put_off.pop(step, None)
        self._blocked.pop(step, None)

    def _events(
        self,
        work: Work,
        step: str,
    ) -> list[Event]:
        """What comes of it. Raises what another attempt may mend."""
        if not self._attempts.begin(step):
            return [self._rejection(work, self._attempts.why(step))]
        try:
            return WORK[type(work)](work, self._ports)
        except PermanentError as error:
            return [self._rejection(work, str(error))]
        except (TransientError, SystemExit, KeyboardInterrupt):
            self._attempts.undo(step)
            raise
        except Exception as error:
            log.error("training_failed", step=step, trace=_trace(error))  # noqa: TRY400  (a console would show every local tensor)
            if self._attempts.failed(step, error):
                raise
            return [self._rejection(work, self._attempts.why(step))]

    def _rejection(
        self,
        work: Work,
        reason: str,
    ) -> ModelRejected:
        set_ = work.training_set
        untrained = UNTRAINED + set_.digest
        return ModelRejected(
            model=set_.model,
            model_digest=work.trained.model_digest if isinstance(work, Judgement) else untrained,
            reason=reason[:LONGEST_REASON],
            metrics={},
            rejected_at_us=self._ports.clock.now_us(),
        )

    def _told(
        self,
        event: Event,
        work: Work,
        step: str,
    ) -> Event:
        """Publish it, or the rejection of what can never be published; returns what was published."""
        try:
            self._publish(event, step, work.training_set.model)
        except PermanentError as error:
            event = self._rejection(work, str(error))
            self._publish(event, step, work.training_set.model)
        return event

    def _publish(
        self,
        event: Event,
        step: str,
        model: str,
    ) -> None:
        """Until Kafka has it: what was trained is not trained again because a broker restarts."""
        while True:
            try:
                self._publisher.publish(event, key=model)
            except PublishError as error:
                self._block(step, error)
            else:
                return

    def _wait(
        self,
        step: str,
        error: Exception,
    ) -> None:
        """Put a step off, each time for twice as long."""
        times = self._put_off.get(step, (0, 0.0))[0]
        pause_s = min(LONGEST_PAUSE_S, PAUSE_S * 2.0 ** min(times, 10))
        self._put_off[step] = (times + 1, self._monotonic() + pause_s)
        self._block(step, error)

    def _block(
        self,
        step: str,
        error: Exception,
    ) -> None:
        reason = f"{type(error).__name__}: {error}"[:LONGEST_REASON]
        log.warning("step_put_off", step=step, reason=reason)
        before = self._blocked.get(step)
        since_us = before.since_us if before else self._ports.clock.now_us()
        self._blocked[step] = Blocked(step=step, reason=reason, since_us=since_us)


def _trace(error: Exception) -> str:
    return "".join(traceback.format_exception(error))[-LONGEST_TRACE:]


def step_of(work: Work) -> str:
    """The name of a piece of work, the same after a restart."""
    set_ = work.training_set
    if isinstance(work, Judgement):
        return f"judging {set_.model} {work.trained.model_digest}"
    return f"training {set_.model} {set_.digest} of definition {set_.definition_digest}"


def _tell(
    event: Event,
    work: Work,
    **facts: object,
) -> None:
    """One line per event; metrics without those of the validation rows, and without intervals."""
    measured = getattr(event, "metrics", {}).items()
    left_out = (LOW, HIGH)
    metrics = {
        name: round(value, 4)
        for name, value in measured
        if not name.startswith(VALIDATION) and not name.endswith(left_out)
    }
    log.info(
        _LINES[type(event)],
        model=getattr(event, "model", ""),
        digest=getattr(event, "model_digest", "")[:12],
        reason=getattr(event, "reason", ""),
        training_set=work.training_set.digest[:12],
        rows=work.training_set.rows,
        metrics=metrics,
        **facts,
    )


_LINES: dict[type[Event], str] = {
    ModelTrained: "model_trained",
    ModelPromoted: "model_promoted",
    ModelRejected: "model_rejected",
}
