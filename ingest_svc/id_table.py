"""Ids and the time at which each was last logged: a hash table over one block of bytes,
compared byte for byte, at about 36 bytes and the id itself.
"""

# It leaves the anatomy because every record passes here; `benchmarks/` has its figures beside a
# dict's.

from __future__ import annotations

import os
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ingest_svc.compiled.id_slots import add_new, refuse_known, spread
from ingest_svc.compiled.siphash import hash_ids

Bytes = npt.NDArray[np.uint8]
Words = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
SMALLEST = 1024
"""Slots of an empty table; a power of two, as it always is."""
_KEYS = np.frombuffer(os.urandom(16), np.int64).astype(
    np.uint64
)  # chosen anew by each process: nobody can send ids that collide


class Ids(NamedTuple):
    """Ids side by side: id i is `data[offsets[i]:offsets[i + 1]]`, its hash 31 bits."""

    data: Bytes
    offsets: Words
    hashes: Words

    @classmethod
    def of(cls, array: pa.Array) -> Ids:
        """The ids of an Arrow array of binary or string without nulls."""
        n = len(array)
        if n == 0:
            return cls(np.empty(0, np.uint8), np.zeros(1, np.int64), np.empty(0, np.int64))
        _, bounds, content = array.buffers()
        offsets = np.frombuffer(bounds, np.int32)[array.offset : array.offset + n + 1].astype(
            np.int64
        )
        data = (
            np.frombuffer(content, np.uint8)[offsets[0] : offsets[-1]].copy()
            if content is not None
            else np.empty(0, np.uint8)
        )
        offsets -= offsets[0]
        return cls(data, offsets, hash_ids(data, offsets, _KEYS))


class IdTable:
    """Grows as needed; forgets nothing."""

    def __init__(self) -> None:
        self._n = 0
        self._slots = np.zeros(SMALLEST, np.int64)
        self._ends = np.zeros(SMALLEST, np.int64)  # id k is held[ends[k]:ends[k + 1]]
        self._known = np.empty(SMALLEST, np.int64)
        self._held = np.empty(16 * SMALLEST, np.uint8)

    def __len__(self) -> int:
        return self._n

    def refuse(
        self,
        ids: Ids,
        known_us: Words,
        horizon_us: int,
        new: Mask,
    ) -> None:
        """Set new[i] to False where id i was logged at most `horizon_us` before known_us[i]."""
        if self._n:
            refuse_known(
                self._slots, self._ends, self._held, self._known, *ids, known_us, horizon_us, new
            )

    def add(
        self,
        ids: Ids,
        known_us: Words,
        horizon_us: int,
        new: Mask,
    ) -> None:
        """`refuse`, id after id, and remember each one that is new as logged at known_us[i]."""
        self._make_room(len(ids.hashes), len(ids.data))
        self._n = add_new(
            self._slots,
            self._ends,
            self._held,
            self._known,
            self._n,
            *ids,
            known_us,
            horizon_us,
            new,
        )

    def _make_room(self, more: int, more_bytes: int) -> None:
        """Room for so many ids and bytes more, with at least a third of the slots empty."""
        needed = self._n + more
        if needed >= len(self._known):
            size = max(2 * len(self._known), needed + 1)
            self._ends, self._known = (
                _grown(self._ends, size, self._n + 1),
                _grown(self._known, size, self._n),
            )
        used = int(self._ends[self._n])
        if used + more_bytes > len(self._held):
            self._held = _grown(self._held, max(2 * len(self._held), used + more_bytes), used)
        if 3 * needed > 2 * len(self._slots):
            self._slots = spread(self._slots, 1 << (3 * needed // 2).bit_length())


def warm_up() -> None:
    """Compile, or load from disk, everything that is called, so that no first record waits."""
    ids, known, new = Ids.of(pa.array(["a", "b"])), np.zeros(2, np.int64), np.ones(2, bool)
    table = IdTable()
    table.add(ids, known, 0, new)
    table.refuse(ids, known, 0, new)
    spread(np.zeros(1, np.int64), SMALLEST)


def _grown(
    array: npt.NDArray[Any],
    size: int,
    used: int,
) -> npt.NDArray[Any]:
    grown = np.empty(size, array.dtype)
    grown[:used] = array[:used]
    return grown
