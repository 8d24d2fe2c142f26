"""Where the log of a source ends: what a store that is built anew has to reach before it may be
read.
"""

from __future__ import annotations

from schemas.topics import records_accepted
from twinstream.mesh.kafka.ends import partition_ends
from twinstream.mesh.settings import MeshSettings

BOUND_S = 10.0


class LogEnds:
    """Asks Kafka. Safe for threads."""

    def __init__(self, settings: MeshSettings) -> None:
        self._partitions = settings.partitions
        self._ends = partition_ends(settings)

    def __call__(self, source: str) -> dict[int, int]:
        """Last offset of each log partition (-1: none); raises NotRunningError when Kafka does not
        say.
        """
        topic = records_accepted(source)
        wanted = [(topic, p) for p in range(self._partitions)]
        return {place[1]: end - 1 for place, end in self._ends(wanted, BOUND_S).items()}
