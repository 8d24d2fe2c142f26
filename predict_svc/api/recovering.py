"""What killed predictors of this host had answered and Kafka may not have goes there now."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import structlog

from predict_svc.api.journal import Entry, Segment, left_behind
from twinstream.errors import MessageRefusedError, TransientError

LOOK_EVERY_S = 5.0
Count = Callable[[str, float], None]
Publish = Callable[[Entry], object]
"""Returns when Kafka has the entry; raises TransientError, MessageRefusedError."""
_log = structlog.get_logger()


class Recovery:
    """Publishes each entry again under the same id; one that Kafka has already is the same event
    twice, which its readers take for one.
    """

    def __init__(self, folder: Path, publish: Publish, count: Count) -> None:
        self._folder = folder
        self._publish = publish
        self._count = count

    def run(self, stop: threading.Event) -> None:
        """Look for what was left, again and again: another predictor of this host may be killed."""
        self.look()
        while not stop.wait(LOOK_EVERY_S):
            self.look()

    def look(self) -> None:
        """Recover what there is now; what Kafka does not take stays for the next look."""
        for segment in left_behind(self._folder):
            try:
                self._recover(segment)
            except TransientError as error:
                _log.warning("predictions_not_recovered_yet", reason=str(error))
                segment.close()
                return
            segment.remove()

    def _recover(self, segment: Segment) -> None:
        unsent = list(segment.unsent())
        for at, entry in unsent:
            self._send(entry)
            segment.mark(at)
        _log.info("predictions_recovered", events=len(unsent))

    def _send(self, entry: Entry) -> None:
        try:
            self._publish(entry)
            self._count("predict_events_recovered_total", 1)
        except MessageRefusedError as error:
            self._count("predict_events_lost_total", 1)
            _log.error("prediction_lost", reason=str(error))
