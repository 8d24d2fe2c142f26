"""Reads label records from a source's log by the mesh's rule of who counts: a row only if its raw offset is beyond all before it."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
import pyarrow as pa

from monitor_svc.labels import LabelRow
from schemas.packs import KNOWN, PACK, RAW, decode_header, decode_rows
from twinstream.define.label import Label
from twinstream.errors import PermanentError

LARGEST, LARGEST_DIGITS = 1 << 63, 38
"""Beyond what any field stores."""


class LabelLogError(PermanentError, ValueError):
    """A message of a log is no pack, or has rows that cannot be read."""


class LabelLog:
    """One label's source: log messages in, label records out; remembers the highest raw offset and known time per partition."""

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
            self._raw_high[partition] = max(self._raw_high.get(partition, -1), header.raw_high)
            return []
        high = self._raw_high.get(partition, header.raw_first - 1)
        self._raw_high[partition] = max(high, header.raw_high)
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
        counts = [raw > high for raw in batch.column(RAW).to_pylist()]
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


def request_key(label: Label, request: Mapping[str, Any]) -> Hashable | None:
    """The join key of a prediction's request, in the stored types of the label's source; None when the request does not hold it."""
    values = [request.get(name) for name in label.on]
    if None in values:
        return None
    try:
        return tuple(
            _stored(label.source.fields[name], value)
            for name, value in zip(label.on, values, strict=True)
        )
    except (ArithmeticError, TypeError, ValueError, msgspec.ValidationError):
        return None


def _stored(kind: Any, value: Any) -> str | int:
    """A JSON value as its field stores it: times in microseconds, decimals scaled.

    Raises TypeError or ValueError for what the field cannot hold: a list, an object, a number of 400 digits.
    """
    if isinstance(value, str):
        return _from_text(kind, value)
    if (
        not isinstance(value, (int, float))
        or not -LARGEST < value < LARGEST
        or kind.kind == "string"
    ):
        raise TypeError(f"not a {kind.kind}")
    return _scaled(kind, value) if kind.kind == "decimal" else int(value)


def _from_text(kind: Any, value: str) -> str | int:
    if kind.kind == "timestamp":
        return round(msgspec.convert(value, datetime).timestamp() * 1_000_000)
    return _scaled(kind, value) if kind.kind in {"decimal", "int"} else value


def _scaled(kind: Any, value: float | str) -> int:
    """A number in its field's smallest unit; bounded before it becomes an integer, since 1e999999 has as many digits."""
    number = Decimal(str(value)).scaleb(getattr(kind, "places", 0))
    if not number.is_finite() or number.adjusted() >= LARGEST_DIGITS:
        raise ValueError("too large")
    return int(number.to_integral_value())
