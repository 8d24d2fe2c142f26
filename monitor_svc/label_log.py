"""Reads label records from a source's log by the mesh's rule of who counts:
a row only if its raw offset is beyond all before it.
"""

from __future__ import annotations

import pyarrow as pa

from monitor_svc.labels import LabelRow
from schemas.packs import KNOWN, PACK, RAW, decode_header, decode_rows
from twinstream.define.label import Label
from twinstream.errors import PermanentError
from twinstream.protocol.row_order import beyond_all_before, raw_high_after


class LabelLogError(PermanentError, ValueError):
    """A message of a log is no pack, or has rows that cannot be read."""


class LabelLog:
    """One label's source: log messages in, label records out; remembers the highest raw offset and
    known time per partition.
    """

    def __init__(self, label: Label) -> None:
        self._label = label
        self._raw_high: dict[int, int] = {}
        self.known_us: dict[int, int] = {}

    def rows(self, partition: int, data: bytes) -> list[LabelRow]:
        """Label records of one log message; raises LabelLogError when the bytes are none."""
        try:
            header = decode_header(data)
        except ValueError as error:
            raise LabelLogError(str(error)) from error
        self.known_us[partition] = max(
            self.known_us.get(partition, header.known_max_us), header.known_max_us
        )
        if header.kind != PACK or not header.rows:
            self._raw_high[partition] = raw_high_after(self._raw_high.get(partition, -1), header)
            return []
        high = self._raw_high.get(partition, header.raw_first - 1)
        self._raw_high[partition] = raw_high_after(high, header)
        return self._decoded(data, high)

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
        counts = beyond_all_before(batch.column(RAW).to_numpy(), high).tolist()
        keys = zip(*(batch.column(name).to_pylist() for name in self._label.on), strict=True)
        events = batch.column(self._label.source.event_time).to_pylist()
        known = batch.column(KNOWN).to_pylist()
        outcomes = self._label.value.floats(batch).tolist()
        return [
            LabelRow(key=key, event_us=event, known_us=at, outcome=outcome)
            for key, event, at, outcome, row_counts in zip(
                keys, events, known, outcomes, counts, strict=True
            )
            if row_counts and None not in key
        ]
