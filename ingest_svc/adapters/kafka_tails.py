"""The port `Tails` over Kafka."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from ingest_svc.adapters.kafka_tail import KafkaTail, dead_letter_offsets, log_tail
from ingest_svc.dedupe import RecentIds
from ingest_svc.log_state import LogState
from ingest_svc.ports import Place
from ingest_svc.settings import IngestSettings
from schemas.topics import dead_letter, record_sent, records_accepted
from twinstream.define.source import Source
from twinstream.errors import NotRunningError

Answer = TypeVar("Answer")


class KafkaTails:
    """Reads the ends of the topics of some sources."""

    def __init__(
        self,
        tail: KafkaTail,
        sources: Mapping[str, Source],
        knobs: IngestSettings,
    ) -> None:
        self._tail, self._sources, self._knobs = tail, sources, knobs

    def log(self, place: Place) -> tuple[LogState, RecentIds]:
        """Where the log stands, and the ids within the dedupe horizon."""
        return self._asked(
            lambda: log_tail(
                self._tail,
                records_accepted(place.source),
                place.partition,
                self._sources[place.source],
                messages=self._knobs.tail_messages,
                ids=self._knobs.dedupe_ids,
            )
        )

    def dead_letters(self, place: Place, state: LogState) -> set[int]:
        """Raw offsets beyond the log that are dead-lettered already."""
        topic, raw_topic = dead_letter("ingest"), record_sent(place.source)
        return self._asked(
            lambda: dead_letter_offsets(self._tail, topic, raw_topic, place.partition, state)
        )

    def raw_range(self, place: Place) -> tuple[int, int]:
        """First raw offset and the one after the last."""
        return self._asked(lambda: self._tail.ends(record_sent(place.source), place.partition))

    def _asked(self, question: Callable[[], Answer]) -> Answer:
        """Raises NotRunningError; then another try connects anew."""
        try:
            return question()
        except NotRunningError:
            self._tail.renew()
            raise
