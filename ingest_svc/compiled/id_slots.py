"""The hash table of ids: open addressing, each slot the id's hash (upper half) and its number and one more (lower half); an empty one is 0.

Id k is `held[ends[k]:ends[k + 1]]` and was last logged at `known[k]`.
"""

# ruff: noqa: PLR0917 (compiled loops take their arrays by position)
from __future__ import annotations

import numpy as np
import numpy.typing as npt

from twinstream.algebra.compiled.jit import compiled

Bytes = npt.NDArray[np.uint8]
Words = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
NUMBER = 0xFFFFFFFF


@compiled
def same(held: Bytes, at: int, data: Bytes, start: int, length: int) -> bool:
    """Whether so many bytes are alike."""
    for i in range(length):  # noqa: SIM110  (all() over a generator is not a loop that compiles)
        if held[at + i] != data[start + i]:
            return False
    return True


@compiled
def slot_of(
    slots: Words, ends: Words, held: Bytes, data: Bytes, start: int, stop: int, hash_: int
) -> int:
    """The slot of an id, or the empty one in which it belongs."""
    at = hash_ & (len(slots) - 1)
    while slots[at] != 0:
        if slots[at] >> 32 == hash_:
            k = (slots[at] & NUMBER) - 1
            if ends[k + 1] - ends[k] == stop - start and same(
                held, ends[k], data, start, stop - start
            ):
                return at
        at = (at + 1) & (len(slots) - 1)
    return at


@compiled
def refuse_known(
    slots: Words,
    ends: Words,
    held: Bytes,
    known: Words,
    data: Bytes,
    offsets: Words,
    hashes: Words,
    known_us: Words,
    horizon_us: int,
    new: Mask,
) -> None:
    """Set new[i] to False where id i was logged at most `horizon_us` away from known_us[i]."""
    for i in range(len(hashes)):
        slot = slots[slot_of(slots, ends, held, data, offsets[i], offsets[i + 1], hashes[i])]
        if slot != 0 and abs(known_us[i] - known[(slot & NUMBER) - 1]) <= horizon_us:
            new[i] = False


@compiled
def add_new(
    slots: Words,
    ends: Words,
    held: Bytes,
    known: Words,
    n: int,
    data: Bytes,
    offsets: Words,
    hashes: Words,
    known_us: Words,
    horizon_us: int,
    new: Mask,
) -> int:
    """`refuse_known`, id after id, and each one that is new takes its place, for which there is
    room; how many ids there are then.
    """
    for i in range(len(hashes)):
        if new[i]:
            at = slot_of(slots, ends, held, data, offsets[i], offsets[i + 1], hashes[i])
            if slots[at] == 0:
                length = offsets[i + 1] - offsets[i]
                held[ends[n] : ends[n] + length] = data[offsets[i] : offsets[i + 1]]
                ends[n + 1], known[n] = ends[n] + length, known_us[i]
                n += 1
                slots[at] = hashes[i] << 32 | n
            elif abs(known_us[i] - known[(slots[at] & NUMBER) - 1]) <= horizon_us:
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
