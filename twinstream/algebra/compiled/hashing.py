"""Hashes over many values: murmur2 for partitions, MurmurHash64A for distinct counts. Both are
Austin Appleby's, in the public domain.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from twinstream.algebra.compiled.jit import compiled
from twinstream.algebra.layout import MURMUR64_MULTIPLIER as MULTIPLIER
from twinstream.algebra.layout import MURMUR64_SEED as SEED
from twinstream.algebra.layout import REST

Bytes = npt.NDArray[np.uint8]
Words = npt.NDArray[np.int64]


@compiled
def murmur2(data: Bytes, start: int, stop: int) -> int:
    """MurmurHash2 of `data[start:stop]` with Kafka's seed."""
    mask = 0xFFFFFFFF
    m = 0x5BD1E995
    h = np.int64(0x9747B28C ^ (stop - start))
    at = start
    while at + 4 <= stop:
        k = (
            np.int64(data[at])
            | np.int64(data[at + 1]) << 8
            | np.int64(data[at + 2]) << 16
            | np.int64(data[at + 3]) << 24
        )
        k = k * m & mask
        h = (h * m ^ (k ^ k >> 24) * m) & mask
        at += 4
    if at < stop:
        tail = np.int64(0)
        for i in range(stop - at):
            tail |= np.int64(data[at + i]) << 8 * i
        h = (h ^ tail) * m & mask
    h = (h ^ h >> 13) * m & mask
    return int(h ^ h >> 15)


@compiled
def partitions(data: Bytes, offsets: Words, n: int, suffix: int) -> Words:
    """Kafka's partition of each key `data[offsets[i]:offsets[i + 1] - suffix]`."""
    out = np.empty(len(offsets) - 1, np.int64)
    for i in range(len(out)):
        out[i] = (murmur2(data, offsets[i], offsets[i + 1] - suffix) & 0x7FFFFFFF) % n
    return out


@compiled
def murmur64(data: Bytes, start: int, stop: int) -> np.uint64:
    """MurmurHash64A of `data[start:stop]`."""
    m = np.uint64(MULTIPLIER)
    shift = np.uint64(47)
    h = np.uint64(SEED) ^ np.uint64(stop - start) * m
    at = start
    while at + 8 <= stop:
        k = np.uint64(0)
        for i in range(8):
            k |= np.uint64(data[at + i]) << np.uint64(8 * i)
        k *= m
        h = (h ^ (k ^ k >> shift) * m) * m
        at += 8
    if at < stop:
        tail = np.uint64(0)
        for i in range(stop - at):
            tail |= np.uint64(data[at + i]) << np.uint64(8 * i)
        h = (h ^ tail) * m
    h = (h ^ h >> shift) * m
    return h ^ h >> shift


@compiled
def registers(data: Bytes, offsets: Words) -> Words:
    """The HLL word `index << 48 | rank` of each value `data[offsets[i]:offsets[i + 1]]`."""
    out = np.empty(len(offsets) - 1, np.int64)
    for i in range(len(out)):
        h = murmur64(data, offsets[i], offsets[i + 1])
        rest = np.int64(h & np.uint64((1 << REST) - 1))
        rank = REST + 1
        while rest > 0:
            rest >>= 1
            rank -= 1
        out[i] = np.int64(h >> np.uint64(REST)) << 48 | rank
    return out
