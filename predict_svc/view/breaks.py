"""Breaks in chains of partials that a view has found: told until a partial, or a base, closed them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import structlog

from predict_svc.view.step import Gap
from schemas.events import GapFound
from twinstream.errors import TransientError
from twinstream.mesh.carrier import TopicPartition
from twinstream.mesh.events import EventPublisher

_log = structlog.get_logger()


class Breaks:
    """By partition of the partials and log partition. `again_s`: the time between two reports of
    the same one.
    """

    def __init__(self, publisher: EventPublisher, again_s: float) -> None:
        self._publisher = publisher
        self._again_s = again_s
        self._open: dict[tuple[TopicPartition, int], tuple[Gap, float]] = {}

    def __len__(self) -> int:
        return len(self._open)

    def found(self, tp: TopicPartition, gap: Gap, told: float = 0.0) -> None:
        """One that may be known already; `told`: when it counts as told last, seconds."""
        self._open.setdefault((tp, gap.origin_partition), (gap, told))

    def only(self, partitions: set[TopicPartition]) -> None:
        """Others are another worker's now."""
        self._open = {place: gap for place, gap in self._open.items() if place[0] in partitions}

    def forget_closed(self, tp: TopicPartition, reached: Mapping[int, int]) -> None:
        """`reached`: per log partition how far the store goes."""
        self._open = {
            place: (gap, told)
            for place, (gap, told) in self._open.items()
            if place[0] != tp or reached.get(place[1], -1) < gap.found_previous
        }

    def report(self, view_of: Mapping[str, str], landed: Callable[[TopicPartition], bool]) -> None:
        """Tell of each break that no base on its way can close."""
        for (tp, origin), (gap, told) in self._open.items():
            if landed(tp) and time.monotonic() - told > self._again_s:
                if not self._tell(view_of[tp.topic], tp.partition, gap):
                    return
                self._open[(tp, origin)] = (gap, time.monotonic())

    def _tell(self, view: str, partition: int, gap: Gap) -> bool:
        """False while Kafka takes nothing."""
        _log.warning(
            "gap_found",
            view=view,
            partition=partition,
            origin=gap.origin_partition,
            expected_after=gap.expected_after,
        )
        event = GapFound(
            view=view,
            partition=partition,
            origin_partition=gap.origin_partition,
            expected_after=gap.expected_after,
            found_previous=gap.found_previous,
            found_at_us=time.time_ns() // 1000,
        )
        try:
            self._publisher.publish(event, wait=False)
        except TransientError as error:
            _log.warning("gap_report_waits", reason=str(error))
            return False
        return True
