"""The registers of the distinct count: HyperLogLog with 2**12 registers over MurmurHash64A of the value's bytes.

A value's word is `index << 48 | rank`: the top 12 bits of its hash, and one more than the zeros that lead the other 52.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinstream.algebra.keys import text_buffers
from twinstream.algebra.layout import MURMUR64_MULTIPLIER as MULTIPLIER
from twinstream.algebra.layout import MURMUR64_SEED as SEED
from twinstream.algebra.layout import REST

_MASK: Final = 2**64 - 1


def value_bytes(value: Any) -> bytes:
    """Text in UTF-8; a number as 8 little-endian bytes of its stored integer, true as 1."""
    if isinstance(value, str):
        return value.encode()
    return int(value).to_bytes(8, "little", signed=True)


def murmur64(data: bytes) -> int:
    """MurmurHash64A."""
    h = SEED ^ (len(data) * MULTIPLIER & _MASK)
    whole = len(data) & ~7
    for i in range(0, whole, 8):
        k = int.from_bytes(data[i : i + 8], "little") * MULTIPLIER & _MASK
        h = (h ^ (k ^ k >> 47) * MULTIPLIER & _MASK) * MULTIPLIER & _MASK
    if whole < len(data):
        h = (h ^ int.from_bytes(data[whole:], "little")) * MULTIPLIER & _MASK
    h = (h ^ h >> 47) * MULTIPLIER & _MASK
    return h ^ h >> 47


def register(value: Any) -> int:
    """The word of a value."""
    h = murmur64(value_bytes(value))
    rest = h & (1 << REST) - 1
    rank = REST - rest.bit_length() + 1
    return (h >> REST) << 48 | rank


def registers(column: pa.Array | npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """`register` of many values: an Arrow string array, or stored integers; what lies at a null
    has no meaning.
    """
    from twinstream.algebra.compiled import hashing

    if isinstance(column, np.ndarray):
        data = np.ascontiguousarray(column, np.int64)
        return hashing.registers(data.view(np.uint8), np.arange(0, 8 * len(data) + 1, 8))
    return hashing.registers(*text_buffers(column))
