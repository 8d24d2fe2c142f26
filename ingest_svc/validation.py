"""What may enter the log: a record that has a value, is not too large, and is accepted by its
source's decoder.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

Rejected = tuple[int, str]


class Decoded(Protocol):
    """What a decoder makes of some records; see `twinstream.define.records`."""

    @property
    def batch(self) -> pa.RecordBatch: ...
    @property
    def index(self) -> npt.NDArray[np.int64]: ...
    @property
    def ids(self) -> pa.Array: ...
    @property
    def errors(self) -> Sequence[Rejected]: ...


class JsonDecoder(Protocol):
    """Decodes JSON records of one source."""

    def json(self, values: Sequence[bytes]) -> Decoded: ...


class Screened(msgspec.Struct, frozen=True):
    """Good records as columns, the input position of each, its id;
    and the rejected ones with their reasons.
    """

    batch: pa.RecordBatch
    index: npt.NDArray[np.int64]
    ids: pa.Array
    rejected: list[Rejected]


class Screen:
    """Checks raw records of one source."""

    def __init__(self, decoder: JsonDecoder, record_bytes: int) -> None:
        self._decoder, self._record_bytes = decoder, record_bytes

    def screen(self, values: Sequence[bytes | None]) -> Screened:
        """Each of `values` is in the result once, as a good row or as rejected."""
        rejected, at = self._refused_unread(values)
        found = self._decoder.json([values[i] for i in at] if rejected else values)  # type: ignore[misc, arg-type]
        rejected += [(int(at[i]), reason) for i, reason in found.errors]
        return Screened(found.batch, at[found.index], found.ids, sorted(rejected))

    def _refused_unread(
        self, values: Sequence[bytes | None]
    ) -> tuple[list[Rejected], npt.NDArray[np.int64]]:
        """Tombstones and too large records, and the positions of the others."""
        everything = np.arange(len(values))
        if None not in values and max(map(len, values), default=0) <= self._record_bytes:  # type: ignore[arg-type]
            return [], everything
        refused = [
            (i, self._why(size))
            for i, size in enumerate(map(_size, values))
            if not 0 <= size <= self._record_bytes
        ]
        return refused, np.delete(everything, [i for i, _ in refused])

    def _why(self, size: int) -> str:
        if size < 0:
            return "no value (a tombstone): deletes are not supported"
        return f"{size} bytes are more than the {self._record_bytes} of one record"


def _size(value: bytes | None) -> int:
    """-1 for a tombstone."""
    return -1 if value is None else len(value)
