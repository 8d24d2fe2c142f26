"""Which manifest of a batch view the speed layer goes by: the newest whose cut ends at barriers of
the log. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from schemas import packs
from schemas.events import ViewPublished

MOST = 8
"""So many manifests of a view are remembered: a lie is followed by what is true,
not by many lies.
"""
Ends = Callable[[int, int, int], bool]
"""Whether an epoch's barrier is at (log partition, offset, epoch);
of a place that the log has forgotten, too.
"""


def newest_first(published: Iterable[ViewPublished]) -> list[ViewPublished]:
    """The latest manifests of one view by epoch; of one epoch the first that came goes first."""
    return sorted(published, key=lambda event: -event.epoch)[:MOST]


def believed(
    manifests: Iterable[ViewPublished],
    partitions: Collection[int],
    ends: Ends,
) -> ViewPublished | None:
    """The first one that ends where the log says; to go by another cut would leave records out."""
    for event in manifests:
        cuts = ((p, event.cut.get(p)) for p in partitions)
        if all(cut is None or ends(p, cut.offset, event.epoch) for p, cut in cuts):
            return event
    return None


def is_barrier(value: bytes | None, epoch: int) -> bool:
    """Whether a message of a log is a barrier that ends this epoch."""
    header = packs.log_header(value)
    return header.kind == packs.BARRIER and header.epoch == epoch
