"""Reads label records from a source's log by the mesh's rule of who counts:
a row only if its raw offset is beyond all before it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from monitor_svc.label_rows import LabelRow
from schemas.packs import KNOWN, PACK, RAW, PackHeader, decode_header, decode_rows
from twinstream.algebra import ahead
from twinstream.define.model import Model
from twinstream.define.outcome import OutcomeAggregate
from twinstream.errors import PermanentError
from twinstream.protocol.row_order import beyond_all_before, raw_high_after


class LabelLogError(PermanentError, ValueError):
    """A message of a log is no pack, or has rows that cannot be read."""


class LabelLog:
    """One label's source: log messages in, label records out; remembers the highest raw offset and
    known time per partition.
    """

    def __init__(self, model: Model) -> None:
        self._label = model.label
        self._ids = model.spine.id_fields if model.own_records else ()
        self._raw_high: dict[int, int] = {}
        self.known_us: dict[int, int] = {}

    def rows(self, partition: int, data: bytes) -> list[LabelRow]:
        """Label records of one log message; raises LabelLogError when the bytes are none."""
        try:
            header = decode_header(data)
        except ValueError as error:
            raise LabelLogError(str(error)) from error
        newest_us = self.known_us.get(partition, header.known_max_us)
        self.known_us[partition] = max(newest_us, header.known_max_us)
        holds_rows = header.kind == PACK and header.rows
        high = self._covered(partition, header, header.raw_first - 1 if holds_rows else -1)
        return self._decoded(data, high) if holds_rows else []

    def _covered(self, partition: int, header: PackHeader, before: int) -> int:
        """The raw offset up to which earlier messages cover, `before` of the first one; this one
        covers from now on too.
        """
        high = self._raw_high.get(partition, before)
        self._raw_high[partition] = raw_high_after(high, header)
        return high

    def _decoded(self, data: bytes, high: int) -> list[LabelRow]:
        try:
            return self._label_rows(data, high)
        except (
            pa.ArrowException,
            KeyError,
            TypeError,
            ValueError,
            OSError,
            OverflowError,
        ) as error:
            raise LabelLogError(f"a pack whose rows cannot be read: {error}") from error

    def _label_rows(self, data: bytes, high: int) -> list[LabelRow]:
        batch = decode_rows(data, self._label.source.pack_schema)
        taken = self._taken(batch)
        counts = beyond_all_before(batch.column(RAW).to_numpy(), high) & taken.counts
        return [
            LabelRow(key=key, event_us=event, known_us=at, outcome=outcome, value=value, own=own)
            for key, event, at, outcome, value, own, row_counts in zip(
                *self._columns(batch),
                taken.outcomes,
                taken.values,
                _tuples(batch, self._ids) if self._ids else repeat(None),
                counts.tolist(),
                strict=False,
            )
            if row_counts and None not in key
        ]

    def _columns(self, batch: pa.RecordBatch) -> tuple[Any, Any, Any]:
        """Key, event time and known time of each row."""
        event_us = batch.column(self._label.source.event_time).to_pylist()
        return _tuples(batch, self._label.on), event_us, batch.column(KNOWN).to_pylist()

    def _taken(self, batch: pa.RecordBatch) -> TakenValues:
        """What the label takes of each record; those that do not count for its aggregate are not
        kept at all.
        """
        value, rows = self._label.value, batch.num_rows
        if isinstance(value, OutcomeAggregate):
            values, counts = ahead.taken(value.aggregate, batch)
            return TakenValues([math.nan] * rows, values.tolist(), counts)
        return TakenValues(value.floats(batch).tolist(), [0] * rows, np.ones(rows, np.bool_))


class TakenValues(NamedTuple):
    """Of the records of one log message: outcomes, integers to be aggregated, which count."""

    outcomes: list[float]
    values: list[int]
    counts: npt.NDArray[np.bool_]


def _tuples(batch: pa.RecordBatch, names: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    return zip(*(batch.column(name).to_pylist() for name in names), strict=True)
