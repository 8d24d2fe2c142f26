"""The state machine of one log partition: raw records in their order go in, log messages and what
must be dead-lettered come out.
"""

# Pure: no Kafka, no clock. It leaves the anatomy because every record passes here;
# `benchmarks/` has its figures.

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from msgspec import structs

from ingest_svc.dedupe import RecentIds
from ingest_svc.log_state import LogState
from ingest_svc.validation import Screen, Screened
from schemas.packs import BARRIER, PACK, RAW, PackHeader, encode_pack
from twinstream.errors import MeshError
from twinstream.protocol.known_time import LEAP_US, LaneTime

Int64s = npt.NDArray[np.int64]


class OverlapError(MeshError, RuntimeError):
    """Another writer wrote into this log partition: what this one knows of it is out of date."""


class Beside(msgspec.Struct, frozen=True):
    """What a raw record has besides its value."""

    key: bytes | None = None
    headers: Sequence[tuple[str, bytes]] = ()


class Raws(msgspec.Struct, frozen=True):
    """Raw records of one partition in their order: offsets, Kafka timestamps in microseconds,
    values (None: tombstone).

    `beside` gives the rest of the record at an offset; it is asked for bad ones alone.
    With the wall clock a timestamp is the moment at which the broker appended the record,
    0 where its topic does not tell.
    """

    offsets: Int64s
    times_us: Int64s
    values: Sequence[bytes | None]
    beside: Callable[[int], Beside] = lambda _: Beside()

    def beyond(self, raw_high: int) -> Raws:
        """Those after an offset."""
        start = int(np.searchsorted(self.offsets, raw_high, "right"))
        return (
            self
            if start == 0
            else Raws(self.offsets[start:], self.times_us[start:], self.values[start:], self.beside)
        )


class LogMessage(msgspec.Struct, frozen=True):
    """One message for the log."""

    header: PackHeader
    data: bytes


class DeadLetter(msgspec.Struct, frozen=True):
    """One raw record that cannot be accepted, as it came: a replay has to be the same record."""

    offset: int
    value: bytes
    reason: str
    beside: Beside = Beside()


class Packed(msgspec.Struct, frozen=True):
    """What becomes of some raw records. `dead_letters` must be safe in Kafka before `messages` are
    sent, for these cover it.
    """

    messages: list[LogMessage]
    dead_letters: list[DeadLetter]
    rows: int = 0
    duplicates: int = 0


class LogWriter:
    """Writes one log partition; starts where the log's `state` says, with the ids that its tail
    holds.
    """

    def __init__(
        self,
        state: LogState,
        recent: RecentIds,
        screen: Screen,
        schema: pa.Schema,
        *,
        replay: bool = False,
        pack_bytes: int = 4_000_000,
        pack_rows: int = 1 << 30,
    ) -> None:
        self.confirmed = state
        self.raw_high = state.raw_high
        self._time = LaneTime(state.known_max_us)
        self._recent, self._screen, self._schema = recent, screen, schema
        self._replay, self._pack_bytes, self._pack_rows = replay, pack_bytes, pack_rows

    @property
    def epoch(self) -> int:
        """The epoch in which the next pack lies."""
        return self.confirmed.epoch

    @property
    def forgotten(self) -> int:
        """Ids that were dropped before the source's horizon, for lack of room."""
        return self._recent.forgotten

    def pack(self, raws: Raws, now_us: int) -> Packed:
        """Cover these raw records, of which those covered already are passed over."""
        raws = raws.beyond(self.raw_high)
        if not len(raws.offsets):
            return Packed([], [])
        known = self._known(raws, now_us)
        screened = self._screen.screen(raws.values)
        new = self._recent.add(screened.ids, known[screened.index], self._time.now_us)
        messages = self._messages(raws, known, screened, new, now_us)
        self.raw_high = int(raws.offsets[-1])
        dead_letters = [_dead(raws, i, reason) for i, reason in screened.rejected]
        rows = int(new.sum())
        return Packed(messages, dead_letters, rows, len(new) - rows)

    def barrier(self, now_us: int) -> LogMessage:
        """The end of the current epoch; nothing may be packed before it is `appended`."""
        return LogMessage(
            header := self._header(BARRIER, 0, self.raw_high, now_us), encode_pack(header, None)
        )

    def appended(self, header: PackHeader, offset: int) -> None:
        """A message stands in the log at `offset`; raises OverlapError when that is not where this
        writer's next one belongs.
        """
        if offset != self.confirmed.next_offset:
            raise OverlapError(
                f"offset {offset} instead of {self.confirmed.next_offset}: "
                "another writer is at work"
            )
        self.confirmed = self.confirmed.after(offset, header)

    def _known(self, raws: Raws, now_us: int) -> Int64s:
        """When each record became known: never before the time that the lane had reached.

        With the wall clock the broker says when, so that every writer says the same of a record,
        whatever its host's clock. In a replay the client says, and is not believed beyond now.
        """
        if self._replay:
            return self._time.take_all(np.minimum(raws.times_us, now_us))
        claims = np.maximum.accumulate(np.where(raws.times_us > 0, raws.times_us, now_us))
        went_wrong = (
            self._time.now_us > claims[0] + LEAP_US
        )  # by a clock that was years ahead: time comes back
        known: Int64s = claims if went_wrong else np.maximum(claims, self._time.now_us)
        self._time = LaneTime(int(known[-1]))
        return known

    def _messages(
        self,
        raws: Raws,
        known: Int64s,
        screened: Screened,
        new: npt.NDArray[np.bool_],
        now_us: int,
    ) -> list[LogMessage]:
        pieces = self._pieces(self._rows(raws, known, screened, new))
        ends = [int(piece.column(RAW)[-1].as_py()) for piece in pieces[:-1]]
        ends.append(int(raws.offsets[-1]))
        firsts = [self.raw_high + 1, *(end + 1 for end in ends[:-1])]
        times = [
            min(int(known[np.searchsorted(raws.offsets, end)]), self._time.now_us) for end in ends
        ]  # a later writer goes on from each
        return [
            self._message(*piece, now_us) for piece in zip(pieces, firsts, ends, times, strict=True)
        ]

    def _rows(
        self,
        raws: Raws,
        known: Int64s,
        screened: Screened,
        new: npt.NDArray[np.bool_],
    ) -> pa.RecordBatch:
        """Those that are new, as they lie in packs."""
        index, batch = screened.index, screened.batch
        if not new.all():
            index, batch = index[new], batch.filter(pa.array(new))
        return pa.RecordBatch.from_arrays(
            [pa.array(raws.offsets[index]), pa.array(known[index]), *batch.columns],
            schema=self._schema,
        )

    def _pieces(self, rows: pa.RecordBatch) -> list[pa.RecordBatch]:
        """The rows halved until each piece has at most `pack_bytes` and `pack_rows`, or one row."""
        if rows.num_rows <= 1 or (
            rows.nbytes <= self._pack_bytes and rows.num_rows <= self._pack_rows
        ):
            return [rows]
        middle = rows.num_rows // 2
        return [*self._pieces(rows.slice(0, middle)), *self._pieces(rows.slice(middle))]

    def _message(
        self,
        rows: pa.RecordBatch,
        first: int,
        last: int,
        time_us: int,
        now_us: int,
    ) -> LogMessage:
        header = structs.replace(
            self._header(PACK, rows.num_rows, last, now_us, raw_first=first), known_max_us=time_us
        )
        return LogMessage(header, encode_pack(header, rows))

    def _header(
        self,
        kind: int,
        rows: int,
        raw_last: int,
        now_us: int,
        raw_first: int | None = None,
    ) -> PackHeader:
        barrier = self.confirmed.barrier
        return PackHeader(
            kind=kind,
            epoch=self.epoch,
            rows=rows,
            raw_first=raw_last + 1 if raw_first is None else raw_first,
            raw_last=raw_last,
            raw_high=raw_last,
            barrier_epoch=barrier.epoch if barrier.offset >= 0 else -1,
            barrier_offset=barrier.offset,
            barrier_raw_high=barrier.raw_high,
            known_max_us=self._time.now_us,
            written_us=now_us,
        )


def _dead(
    raws: Raws,
    row: int,
    reason: str,
) -> DeadLetter:
    offset = int(raws.offsets[row])
    return DeadLetter(offset, raws.values[row] or b"", reason, raws.beside(offset))
