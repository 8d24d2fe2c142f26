"""The chain of partials that one log partition leaves at one target, and where it breaks. Pure:
the view's rule, replayed by the writer.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from schemas.partials import PartialHeader


class Link(msgspec.Struct, frozen=True, order=True):
    """Where a log partition stands once all up to `offset` was folded:
    the epoch that follows, the highest raw offset that counted.
    """

    offset: int
    epoch: int
    raw_high: int


BEGINNING = Link(-1, 1, -1)


def after(header: PartialHeader) -> Link:
    """Where the log partition stands behind the message that a partial was made of;
    a barrier ends its epoch.
    """
    return Link(
        header.origin_offset, header.epoch + 1 if header.barrier else header.epoch, header.raw_high
    )


def advance(link: Link, header: PartialHeader) -> Link:
    """The view's rule: a partial is taken when the one before it is contained and it is not;
    a repeat or a gap changes nothing.
    """
    return after(header) if header.previous <= link.offset < header.origin_offset else link


def resume_at(chains: Iterable[Link], cut: Link) -> Link:
    """The latest place behind which no target of the log partition lacks anything;
    never before the cut of what was published.
    """
    return min(chains, default=cut)
