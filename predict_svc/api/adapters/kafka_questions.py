"""Reads the questions of one model from Kafka; a batch is committed when Kafka has its events."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import structlog

from predict_svc.api.questions import Questions
from twinstream.errors import TransientError
from twinstream.mesh.events import EventReader
from twinstream.mesh.quarantine import Quarantine

GATHER_S = 0.005
"""So long a batch waits for one more question."""
IDLE_S, PAUSE_S = 0.5, 1.0
log = structlog.get_logger()


class KafkaQuestions:
    """Answers until it is told to stop."""

    def __init__(
        self,
        reader: EventReader,
        questions: Questions,
        quarantine: Quarantine,
        *,
        flush: Callable[[], None],
        most: int,
    ) -> None:
        """`reader`: a member of the group that reads the model's questions. `flush` returns when
        Kafka has what was published; `most`: messages of a batch.
        """
        self._reader, self._questions, self._quarantine = reader, questions, quarantine
        self._flush, self._most = flush, most

    def run(self, stop: threading.Event) -> None:
        """While Kafka, a view or the model is away this waits with the batch that it holds."""
        while not stop.is_set():
            try:
                batch = self._batch()
            except TransientError as error:
                log.warning("questions_wait", reason=str(error))
                stop.wait(PAUSE_S)
                continue
            if batch and self._handled(batch, stop):
                self._commit(batch)

    def _batch(self) -> list[Any]:
        found: list[Any] = []
        message = self._reader.poll_raw(IDLE_S)
        while message is not None:
            found.append(message)
            message = None if len(found) >= self._most else self._reader.poll_raw(GATHER_S)
        return found

    def _handled(self, batch: Sequence[Any], stop: threading.Event) -> bool:
        """Whether all of the batch is answered or a dead letter; not when it was told to stop."""
        told = ""
        while not stop.is_set():
            try:
                self._handle(batch)
                self._flush()
            except TransientError as error:
                if str(error) != told:
                    told = str(error)
                    log.warning("questions_wait", reason=told)
                stop.wait(PAUSE_S)
            else:
                return True
        return False

    def _handle(self, batch: Sequence[Any]) -> None:
        """Together; what fails so in a way that nobody foresaw, one by one, to know which it is."""
        try:
            self._questions.handle(batch)
        except TransientError:
            raise
        except Exception as error:
            log.warning("questions_failed_together", count=len(batch), exc_info=error)
            for message in batch:
                self._quarantine.handle(message, lambda one=message: self._questions.handle([one]))  # type: ignore[misc]

    def _commit(self, batch: Sequence[Any]) -> None:
        """What is not committed is answered again after a restart, under the same ids."""
        last = {(message.topic(), message.partition()): message for message in batch}
        for message in last.values():
            try:
                self._reader.commit(message)
            except TransientError as error:
                log.warning("questions_not_committed", reason=str(error))
