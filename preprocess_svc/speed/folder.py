"""Log messages to partials: for each view of the source one to every target partition,
in the log's order. Pure.
"""

# The same message always gives the same partial; the only memory is the place in the log.

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pyarrow as pa

from preprocess_svc.speed.chain import BEGINNING, Link
from schemas import packs
from schemas.partials import PartialHeader, encode_header
from twinstream.algebra import columns, kernel
from twinstream.algebra.plan import ViewPlan
from twinstream.algebra.state import StateBatch
from twinstream.define import Source
from twinstream.protocol.row_order import beyond_all_before, position_in_log, raw_high_after


class Partial(NamedTuple):
    """One message for partition `target` of the partials topic of `view`."""

    view: str
    target: int
    value: bytes


class Folder:
    """Folds one log partition of a source, from the message behind `start` on."""

    def __init__(
        self,
        source: Source,
        plans: Sequence[ViewPlan],
        partition: int,
        targets: int,
        start: Link = BEGINNING,
    ) -> None:
        self._schema = source.pack_schema
        self._plans = plans
        self._partition = partition
        self._targets = targets
        self.at = start

    @property
    def next_offset(self) -> int:
        """The log offset that `fold` takes next."""
        return self.at.offset + 1

    def fold(
        self,
        value: bytes | None,
        offset: int,
        now_us: int,
    ) -> tuple[int, list[Partial]]:
        """(rows that count, partials) of the log message at `offset`, which is `next_offset`;
        raises ValueError for any other.
        """
        if offset != self.next_offset:
            raise ValueError(
                f"log partition {self._partition}: offset {offset} given, "
                f"{self.next_offset} is next"
            )
        pack = packs.log_header(value)
        ends = pack.kind == packs.BARRIER and pack.epoch == self.at.epoch
        rows = self._rows(value, pack)
        raw_high = raw_high_after(self.at.raw_high, pack)
        header = PartialHeader(
            origin_partition=self._partition,
            origin_offset=offset,
            previous=self.at.offset,
            epoch=self.at.epoch,
            raw_high=raw_high,
            barrier=int(ends),
            written_us=now_us,
            log_written_us=pack.written_us,
        )
        partials = self._markers(header) if rows is None else self._states(header, rows)
        self.at = Link(offset, self.at.epoch + int(ends), raw_high)
        return 0 if rows is None else rows.num_rows, partials

    def _rows(self, value: bytes | None, pack: packs.PackHeader) -> pa.RecordBatch | None:
        """The rows that count: those whose raw offset is beyond all before;
        None when there are none.
        """
        if pack.kind == packs.BARRIER or pack.rows == 0 or pack.raw_last <= self.at.raw_high:
            return None
        assert value is not None
        batch = packs.decode_rows(value, self._schema)
        fresh = beyond_all_before(batch.column(packs.RAW).to_numpy(), self.at.raw_high)
        if not fresh.all():
            batch = batch.filter(pa.array(fresh))
        return batch if batch.num_rows else None

    def _markers(self, header: PartialHeader) -> list[Partial]:
        marker = encode_header(header)
        return [
            Partial(plan.view.name, target, marker)
            for plan in self._plans
            for target in range(self._targets)
        ]

    def _states(self, header: PartialHeader, rows: pa.RecordBatch) -> list[Partial]:
        position = position_in_log(self._partition, rows.column(packs.RAW).to_numpy())
        shared = columns.Shared(rows)
        out = list[Partial]()
        for plan in self._plans:
            states = kernel.lift(plan, rows, position, chunked=True, shared=shared)
            parts = kernel.by_partition(states, self._targets, chunked=True)
            for target, part in enumerate(parts):
                value = _partial(header, rows.num_rows, part)
                out.append(Partial(plan.view.name, target, value))
        return out


def _partial(
    header: PartialHeader,
    rows: int,
    states: StateBatch,
) -> bytes:
    """Header and body; the header alone when this target has no state in the message."""
    if not len(states):
        return encode_header(header)
    full = PartialHeader(
        origin_partition=header.origin_partition,
        origin_offset=header.origin_offset,
        previous=header.previous,
        epoch=header.epoch,
        raw_high=header.raw_high,
        barrier=header.barrier,
        rows=rows,
        keys=len(states),
        written_us=header.written_us,
        log_written_us=header.log_written_us,
    )
    return states.to_bytes(encode_header(full))
