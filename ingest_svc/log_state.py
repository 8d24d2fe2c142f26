"""Where a log partition stands, read from its last messages alone:
the log is the only memory that ingest has.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from schemas.events import EpochSealed
from schemas.packs import BARRIER, PackHeader
from twinstream.protocol.known_time import EARLIEST_US


class Barrier(msgspec.Struct, frozen=True):
    """The end of an epoch in one log partition: its first barrier's offset, and the highest raw
    offset before it (-1: none).
    """

    epoch: int = 0
    offset: int = -1
    raw_high: int = -1


class LogState(msgspec.Struct, frozen=True, kw_only=True):
    """What the next writer of a log partition must know; raw records up to `raw_high` are
    covered.
    """

    next_offset: int = 0
    raw_high: int = -1
    known_max_us: int = EARLIEST_US
    barrier: Barrier = Barrier()
    written_us: int = 0

    @property
    def epoch(self) -> int:
        """The epoch in which the next record lies."""
        return self.barrier.epoch + 1

    def after(self, offset: int, header: PackHeader) -> LogState:
        """The state after one more message, whoever wrote it: of two barriers of an epoch the first
        counts.
        """
        covers = header.raw_last > self.raw_high  # who covers nothing new says nothing
        return LogState(
            next_offset=offset + 1,
            raw_high=max(self.raw_high, header.raw_high, header.raw_last),
            known_max_us=header.known_max_us if covers else self.known_max_us,
            barrier=_newest([self.barrier, *_barriers(offset, header, self.raw_high)]),
            written_us=max(self.written_us, header.written_us),
        )

    def sealed(
        self,
        source: str,
        partition: int,
        sealed_at_us: int,
    ) -> EpochSealed | None:
        """The event that tells of the last barrier; None before the first."""
        b = self.barrier
        if b.offset < 0:
            return None
        return EpochSealed(
            epoch=b.epoch,
            source=source,
            partition=partition,
            offset=b.offset,
            raw_high=b.raw_high,
            sealed_at_us=sealed_at_us,
        )


def state_of(messages: Iterable[tuple[int, PackHeader]], empty_at: int = 0) -> LogState:
    """The state after the last messages (offset, header) of a log partition, in order; `empty_at`:
    its end when there are none.
    """
    state = LogState(next_offset=empty_at)
    for offset, header in messages:
        state = state.after(offset, header)
    return state


def _newest(said: list[Barrier]) -> Barrier:
    """The first of the newest epoch."""
    epoch = max(barrier.epoch for barrier in said)
    return min((one for one in said if one.epoch == epoch), key=lambda barrier: barrier.offset)


def _barriers(
    offset: int,
    header: PackHeader,
    raw_high_before: int,
) -> list[Barrier]:
    """The barriers that a message is or tells of. What it tells of was verified by its writer."""
    told = (
        [Barrier(header.barrier_epoch, header.barrier_offset, header.barrier_raw_high)]
        if header.barrier_offset >= 0
        else []
    )
    own = (
        [Barrier(header.epoch, offset, max(raw_high_before, header.raw_high))]
        if header.kind == BARRIER
        else []
    )
    return told + own
