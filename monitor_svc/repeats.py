"""Events that come twice: of a predictor that was killed, its successor sends again what Kafka may
have already.
"""

from __future__ import annotations

from schemas.events import PredictionServed

MOST = 50_000


class Repeats:
    """Remembers the latest events by the id of their first row."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._seen: dict[str, None] = {}

    def is_new(self, event: PredictionServed) -> bool:
        """Whether it did not come before; it has come now."""
        name = f"{event.id}-{event.first_row}"
        if name in self._seen:
            return False
        self._seen[name] = None
        if len(self._seen) > self._most:
            del self._seen[next(iter(self._seen))]
        return True
