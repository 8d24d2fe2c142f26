"""SipHash of ids, so that nobody who does not know the key can send ids that collide."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from twinstream.algebra.compiled.jit import compiled

Bytes = npt.NDArray[np.uint8]
Words = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint64]


@compiled
def turned(x: np.uint64, by: int) -> np.uint64:
    """The bits of a word turned to the left."""
    return np.uint64(x << np.uint64(by) | x >> np.uint64(64 - by))


@compiled
def mixed(
    a: np.uint64, b: np.uint64, c: np.uint64, d: np.uint64
) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64]:
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
def siphash(data: Bytes, start: int, stop: int, keys: Keys) -> np.uint64:
    """SipHash-1-3 of `data[start:stop]` (Aumasson and Bernstein, "SipHash: a fast short-input PRF",
    2012).
    """
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
def hash_ids(data: Bytes, offsets: Words, keys: Keys) -> Words:
    """31 bits of the hash of each id."""
    out = np.empty(len(offsets) - 1, np.int64)
    for i in range(len(out)):
        out[i] = np.int64(siphash(data, offsets[i], offsets[i + 1], keys) >> np.uint64(33))
    return out
