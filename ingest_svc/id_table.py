"""Ids and the time at which each was last logged, at about 50 bytes an id: a hash table over one block of bytes, compared byte for byte.

It leaves the anatomy because every record passes here; `benchmarks/` has its figures beside a dict's.
"""

# ruff: noqa: PLR0917 (compiled loops take their arrays by position)
from __future__ import annotations

import os
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinstream.algebra.compiled.jit import compiled

Bytes = npt.NDArray[np.uint8]
Words = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
SMALLEST = 1024
"""Slots of an empty table; a power of two, as it always is."""
NUMBER = 0xFFFFFFFF  # the lower half of a slot: the id's number and one more; the upper half is its hash; an empty slot is 0
_KEYS = np.frombuffer(os.urandom(16), np.int64).astype(np.uint64)  # chosen anew by each process: nobody can send ids that collide


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
        offsets = np.frombuffer(bounds, np.int32)[array.offset : array.offset + n + 1].astype(np.int64)
        data = np.frombuffer(content, np.uint8)[offsets[0] : offsets[-1]].copy() if content is not None else np.empty(0, np.uint8)
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

    @property
    def nbytes(self) -> int:
        """Bytes of memory, of which what was never filled is not resident."""
        return self._slots.nbytes + self._ends.nbytes + self._known.nbytes + self._held.nbytes

    def refuse(self, ids: Ids, known_us: Words, horizon_us: int, new: Mask) -> None:
        """Set new[i] to False where id i was logged at most `horizon_us` before known_us[i]."""
        if self._n:
            refuse_known(self._slots, self._ends, self._held, self._known, *ids, known_us, horizon_us, new)

    def add(self, ids: Ids, known_us: Words, horizon_us: int, new: Mask) -> None:
        """`refuse`, id after id, and remember each one that is new as logged at known_us[i]."""
        self._make_room(len(ids.hashes), len(ids.data))
        self._n = add_new(self._slots, self._ends, self._held, self._known, self._n, *ids, known_us, horizon_us, new)

    def _make_room(self, more: int, more_bytes: int) -> None:
        """Room for so many ids and bytes more, with at least a third of the slots empty."""
        needed = self._n + more
        if needed >= len(self._known):
            size = max(2 * len(self._known), needed + 1)
            self._ends, self._known = _grown(self._ends, size, self._n + 1), _grown(self._known, size, self._n)
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


def _grown(array: npt.NDArray[Any], size: int, used: int) -> npt.NDArray[Any]:
    grown = np.empty(size, array.dtype)
    grown[:used] = array[:used]
    return grown


@compiled
def turned(x: np.uint64, by: int) -> np.uint64:
    """The bits of a word turned to the left."""
    return np.uint64(x << np.uint64(by) | x >> np.uint64(64 - by))


@compiled
def mixed(a: np.uint64, b: np.uint64, c: np.uint64, d: np.uint64) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64]:
    """One round of SipHash."""
    a += b
    b = turned(b, 13) ^ a
    a = turned(a, 32)
    c += d
    d = turned(d, 16) ^ c
    a += d
    d = turned(d, 21) ^ a
    c += b
    b = turned(b, 17) ^ c
    c = turned(c, 32)
    return a, b, c, d


@compiled
def word_at(data: Bytes, start: int, stop: int) -> np.uint64:
    """Up to eight bytes as a little-endian word."""
    word = np.uint64(0)
    for i in range(stop - start):
        word |= np.uint64(data[start + i]) << np.uint64(8 * i)
    return word


@compiled
def siphash(data: Bytes, start: int, stop: int, keys: npt.NDArray[np.uint64]) -> np.uint64:
    """SipHash-1-3 of `data[start:stop]` (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012)."""
    a, b = keys[0] ^ np.uint64(0x736F6D6570736575), keys[1] ^ np.uint64(0x646F72616E646F6D)
    c, d = keys[0] ^ np.uint64(0x6C7967656E657261), keys[1] ^ np.uint64(0x7465646279746573)
    at = start
    while at + 8 <= stop:
        word = word_at(data, at, at + 8)
        a, b, c, d = mixed(a, b, c, d ^ word)
        a ^= word
        at += 8
    word = np.uint64(stop - start) << np.uint64(56) | word_at(data, at, stop)
    a, b, c, d = mixed(a, b, c, d ^ word)
    a ^= word
    c ^= np.uint64(0xFF)
    for _ in range(3):
        a, b, c, d = mixed(a, b, c, d)
    return np.uint64(a ^ b ^ c ^ d)


@compiled
def hash_ids(data: Bytes, offsets: Words, keys: npt.NDArray[np.uint64]) -> Words:
    """31 bits of the hash of each id."""
    out = np.empty(len(offsets) - 1, np.int64)
    for i in range(len(out)):
        out[i] = np.int64(siphash(data, offsets[i], offsets[i + 1], keys) >> np.uint64(33))
    return out


@compiled
def same(held: Bytes, at: int, data: Bytes, start: int, length: int) -> bool:
    """Whether so many bytes are alike."""
    for i in range(length):  # noqa: SIM110  (all() over a generator is no loop that compiles)
        if held[at + i] != data[start + i]:
            return False
    return True


@compiled
def slot_of(slots: Words, ends: Words, held: Bytes, data: Bytes, start: int, stop: int, hash_: int) -> int:
    """The slot of an id, or the empty one in which it belongs."""
    at = hash_ & (len(slots) - 1)
    while slots[at] != 0:
        if slots[at] >> 32 == hash_:
            k = (slots[at] & NUMBER) - 1
            if ends[k + 1] - ends[k] == stop - start and same(held, ends[k], data, start, stop - start):
                return at
        at = (at + 1) & (len(slots) - 1)
    return at


@compiled
def refuse_known(
    slots: Words, ends: Words, held: Bytes, known: Words, data: Bytes, offsets: Words, hashes: Words, known_us: Words, horizon_us: int, new: Mask
) -> None:
    """See `IdTable.refuse`."""
    for i in range(len(hashes)):
        slot = slots[slot_of(slots, ends, held, data, offsets[i], offsets[i + 1], hashes[i])]
        if slot != 0 and known_us[i] - known[(slot & NUMBER) - 1] <= horizon_us:
            new[i] = False


@compiled
def add_new(
    slots: Words, ends: Words, held: Bytes, known: Words, n: int, data: Bytes, offsets: Words, hashes: Words, known_us: Words, horizon_us: int, new: Mask
) -> int:
    """See `IdTable.add`; there is room. How many ids the table holds then."""
    for i in range(len(hashes)):
        if new[i]:
            at = slot_of(slots, ends, held, data, offsets[i], offsets[i + 1], hashes[i])
            if slots[at] == 0:
                length = offsets[i + 1] - offsets[i]
                held[ends[n] : ends[n] + length] = data[offsets[i] : offsets[i + 1]]
                ends[n + 1], known[n] = ends[n] + length, known_us[i]
                n += 1
                slots[at] = hashes[i] << 32 | n
            elif known_us[i] - known[(slots[at] & NUMBER) - 1] <= horizon_us:
                new[i] = False
            else:
                known[(slots[at] & NUMBER) - 1] = known_us[i]
    return n


@compiled
def spread(slots: Words, size: int) -> Words:
    """The slots of a larger table."""
    out = np.zeros(size, np.int64)
    for slot in slots:
        if slot != 0:
            at = (slot >> 32) & (size - 1)
            while out[at] != 0:
                at = (at + 1) & (size - 1)
            out[at] = slot
    return out
