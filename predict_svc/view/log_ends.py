"""Where the log of a source ends: what a store that is built anew has to reach before it may be read."""

from __future__ import annotations

from confluent_kafka.admin import AdminClient

from schemas.topics import records_accepted
from twinstream.errors import NotRunningError
from twinstream.mesh.kafka.positions import ends
from twinstream.mesh.settings import MeshSettings

BOUND_S = 10.0


class LogEnds:
    """Asks Kafka. Safe for threads."""

    def __init__(self, settings: MeshSettings) -> None:
        self._settings, self._admin = settings, AdminClient(settings.kafka_client())

    def __call__(self, source: str) -> dict[int, int]:
        """Last offset of each log partition (-1: none); raises NotRunningError when Kafka does not say."""
        topic = records_accepted(source)
        wanted = [(topic, p) for p in range(self._settings.partitions)]
        try:
            return {place[1]: end - 1 for place, end in ends(self._admin, wanted, BOUND_S).items()}
        except NotRunningError:
            self._admin = AdminClient(
                self._settings.kafka_client()
            )  # after a broker's restart an old one may answer FENCED_LEADER_EPOCH for ever
            raise
