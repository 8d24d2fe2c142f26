"""How far time has come in what was read: a label counts as missing only when nothing unread could
still hold it.
"""

from __future__ import annotations

from typing import Literal

from twinstream.protocol.known_time import EARLIEST_US, LaneTime

WALL_SLACK_US = 5_000_000
"""With the wall clock: how long a record may take from being known to being readable in its log."""
NEVER = 2**63 - 1
Place = tuple[str, int]


class KnownTime:
    """Follows the predictions and the partitions of the label logs;
    each was read up to some known time, or to its end.

    One prediction about a moment far ahead moves it no more than one record moves its lane;
    what logs say, ingest has seen to.
    """

    def __init__(self, clock: Literal["wall", "replay"]) -> None:
        self._wall = clock == "wall"
        self._predictions = LaneTime()
        self.predictions_at_end = False
        self.labels_us: dict[Place, int] = {}
        self.labels_open: set[Place] = set()

    @property
    def predictions_us(self) -> int:
        """Known time of the newest prediction that another one agrees with."""
        return self._predictions.now_us

    def predicted(self, known_us: int) -> None:
        """A prediction was taken."""
        self._predictions.take(known_us)

    @property
    def newest_label_us(self) -> int:
        """Newest known time of any label record."""
        return max(self.labels_us.values(), default=EARLIEST_US)

    @property
    def _labels_read_us(self) -> int:
        return min(
            (self.labels_us.get(place, EARLIEST_US) for place in self.labels_open), default=NEVER
        )

    @property
    def _predictions_read_us(self) -> int:
        return NEVER if self.predictions_at_end else self.predictions_us

    def next_streams(self) -> tuple[bool, bool]:
        """Whether to read predictions, and labels, now: the one that is behind, so that the other
        does not pile up; both at the end.
        """
        predictions, labels = self._predictions_read_us, self._labels_read_us
        return predictions <= labels or self.predictions_at_end, labels <= predictions

    def watermark_us(self, now_us: int) -> int:
        """All predictions and labels known up to here have been taken."""
        newest = now_us - WALL_SLACK_US if self._wall else self.newest_label_us
        return min(newest, self._predictions_read_us, self._labels_read_us)
