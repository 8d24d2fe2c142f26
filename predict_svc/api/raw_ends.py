"""Where the raw topics end, asked of Kafka when a request states how stale an answer may be."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from predict_svc.api.messages import NotReadyError
from schemas.topics import record_sent
from twinstream.mesh.settings import MeshSettings

BOUND_S = 2.0
Ends = dict[str, dict[int, int]]


class RawEnds:
    """Last raw offsets by source and partition, remembered for a moment. Safe for threads."""

    def __init__(self, settings: MeshSettings, sources: Sequence[str], max_age_ms: float) -> None:
        self._admin = AdminClient(settings.kafka_client())
        self._places = {(record_sent(source), p): source for source in sources for p in range(settings.partitions)}
        self._max_age_ms = max_age_ms
        self._lock = threading.Lock()
        self._known: tuple[float, Ends] = (float("-inf"), {})

    def __call__(self, sources: Sequence[str], max_age_ms: float) -> Mapping[str, Mapping[int, int]]:
        """Ends as of a moment at most `max_age_ms` ago; raises NotReadyError when Kafka does not answer."""
        with self._lock:
            asked_at = time.monotonic()
            if asked_at - self._known[0] > min(max_age_ms, self._max_age_ms) / 1000:
                self._known = (asked_at, self._ask())
            return {source: self._known[1].get(source, {}) for source in sources}

    def _ask(self) -> Ends:
        wanted = {TopicPartition(topic, p): OffsetSpec.latest() for topic, p in self._places}
        ends: Ends = {}
        try:
            for place, future in self._admin.list_offsets(wanted, request_timeout=BOUND_S).items():
                source = self._places[(place.topic, place.partition)]
                ends.setdefault(source, {})[place.partition] = future.result(BOUND_S).offset - 1
        except (KafkaException, TimeoutError) as error:
            raise NotReadyError(f"Kafka does not say where the raw topics end, so no age can be promised: {error}") from error
        return ends
