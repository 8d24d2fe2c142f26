"""One open partition of a source: its writer, and what it sent that Kafka has not confirmed yet."""

from __future__ import annotations

from collections import deque

from ingest_svc.log_writer import DeadLetter, LogMessage, LogWriter, Packed
from ingest_svc.ports import Place
from schemas.packs import PackHeader


class Lane:
    """`dead_before`: raw offsets whose dead letters survived although their covering pack did
    not.
    """

    def __init__(
        self,
        place: Place,
        raw_topic: str,
        writer: LogWriter,
        dead_before: set[int],
    ) -> None:
        self.place, self.raw_topic, self.writer = place, raw_topic, writer
        self._dead_before = dead_before
        self._waiting: deque[int] = deque()
        self._forgotten = 0

    @property
    def next_raw(self) -> int:
        """The first raw offset that is not covered."""
        return self.writer.raw_high + 1

    @property
    def waiting(self) -> int:
        """Log messages without confirmation."""
        return len(self._waiting)

    # its place in the queue is what counts
    def sent(self, message: LogMessage, oldest_us: int) -> None:  # noqa: ARG002
        """A message went out whose oldest raw record is of `oldest_us`."""
        self._waiting.append(oldest_us)

    def confirmed(self, header: PackHeader, offset: int) -> int:
        """Kafka has the oldest message that waits; return the time of its oldest raw record.
        Raises OverlapError.
        """
        oldest_us = self._waiting.popleft()
        self.writer.appended(header, offset)
        return oldest_us

    def newly_forgotten(self) -> int:
        """Ids forgotten too early since the last call."""
        before, self._forgotten = self._forgotten, self.writer.forgotten
        return self._forgotten - before

    def to_dead_letter(self, packed: Packed) -> list[DeadLetter]:
        """What must be dead-lettered and is not yet."""
        return [found for found in packed.dead_letters if found.offset not in self._dead_before]
