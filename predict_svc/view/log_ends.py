"""Where the log of a source ends: what a store that is built anew has to reach before it may be read."""

from __future__ import annotations

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from schemas.topics import records_accepted
from twinstream.errors import NotRunningError
from twinstream.mesh.settings import MeshSettings

BOUND_S = 10.0


class LogEnds:
    """Asks Kafka. Safe for threads."""

    def __init__(self, settings: MeshSettings) -> None:
        self._admin = AdminClient(settings.kafka_client())
        self._partitions = settings.partitions

    def __call__(self, source: str) -> dict[int, int]:
        """Last offset of each log partition (-1: none); raises NotRunningError when Kafka does not say."""
        wanted = {
            TopicPartition(records_accepted(source), p): OffsetSpec.latest()
            for p in range(self._partitions)
        }
        try:
            found = self._admin.list_offsets(wanted, request_timeout=BOUND_S)
            return {
                place.partition: future.result(BOUND_S).offset - 1
                for place, future in found.items()
            }
        except (KafkaException, TimeoutError) as error:
            raise NotRunningError(
                f"{records_accepted(source)}: Kafka does not say where it ends: {error}"
            ) from error
