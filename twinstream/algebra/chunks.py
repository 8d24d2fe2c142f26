"""Under which keys the speed view stores the rows of a view key: view key, hop (1 byte), chunk
(int32, big-endian, sign bit flipped).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from twinstream.algebra import windows
from twinstream.algebra.compiled import splitting
from twinstream.algebra.plan import ViewPlan
from twinstream.algebra.state import StateBatch

SUFFIX = 5  # bytes
FIRST_CHUNK, LAST_CHUNK = -(2**31), 2**31 - 1  # those that have a name; all records lie far within


def suffix(hop: int, chunk: int) -> bytes:
    """The 5 bytes after the view key; they order as (hop, chunk) does."""
    return bytes((hop,)) + (chunk + 2**31).to_bytes(4, "big")


def view_key(storage_key: bytes) -> bytes:
    """The view key of a storage key."""
    return storage_key[:-SUFFIX]


def suffixes_of(batch: StateBatch) -> frozenset[bytes]:
    """Every suffix among the keys of a batch by storage key."""
    codes = splitting.suffix_codes(batch.key_data, batch.key_offsets)
    return frozenset(code.to_bytes(SUFFIX, "big") for code in np.unique(codes).tolist())


def needed(plan: ViewPlan, key: bytes, at_us: int) -> list[bytes]:
    """The storage keys that hold every tile that a read at this moment takes, ascending."""
    return [key + end for end in needed_suffixes(plan, at_us)]


def needed_suffixes(plan: ViewPlan, at_us: int) -> tuple[bytes, ...]:
    """The suffixes of `needed`: the same for every key."""
    longest = tuple(hop.windows[-1] for hop in plan.hops)
    return _suffixes(longest, at_us // windows.HOP_US[0])


@lru_cache(maxsize=1024)
def _suffixes(longest: tuple[str, ...], tile: int) -> tuple[bytes, ...]:
    """Suffixes for a moment within a tile of 5 minutes."""
    found = []
    at_us = tile * windows.HOP_US[0]
    for window in longest:
        hop, first, _ = windows.tiles(window, at_us)
        last = windows.tile_of(hop, at_us)
        size = windows.CHUNK_TILES[hop]
        low = _named(first // size)
        high = _named(last // size)
        found += [suffix(hop, chunk) for chunk in range(low, high + 1)]
    return tuple(found)


def _named(chunk: int) -> int:
    """The nearest chunk that has a name: a question may be about any moment."""
    return min(max(chunk, FIRST_CHUNK), LAST_CHUNK)
