"""The bytes of a view key, and the partition that holds it (murmur2 as in Kafka's Java client)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

SEPARATOR: Final = "\x1f"
FEW: Final = 40
"""Up to so many rows the keys of a batch are made one by one."""
_M: Final = 0x5BD1E995
_MASK: Final = 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """Austin Appleby's MurmurHash2 with Kafka's seed; 0 <= result < 2**32."""
    whole = len(data) & ~3
    h = 0x9747B28C ^ len(data)
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i : i + 4], "little") * _M & _MASK
        h = (h * _M ^ (k ^ k >> 24) * _M) & _MASK
    if whole < len(data):
        h = (h ^ int.from_bytes(data[whole:], "little")) * _M & _MASK
    h = (h ^ h >> 13) * _M & _MASK
    return h ^ h >> 15


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a key, as Kafka's Java client would choose it."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions


def partitions_of(
    data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64], partitions: int, suffix: int = 0
) -> npt.NDArray[np.int64]:
    """The partition of each key `data[offsets[i]:offsets[i + 1] - suffix]`."""
    from twinstream.algebra.compiled import hashing

    return hashing.partitions(data, offsets, partitions, suffix)


def part(value: Any) -> str | None:
    """One part of a key as text: text itself, `true`/`false`, the decimal digits of a (scaled)
    integer. None for null.
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value))


def encode(values: Sequence[Any]) -> bytes | None:
    """The key bytes of a tuple of values; None when a part is null: such a row does not count in
    the view.
    """
    parts = []
    for value in values:
        text = part(value)
        if text is None:
            return None
        parts.append(text)
    return SEPARATOR.join(parts).encode()


def encode_one(value: Any) -> bytes | None:
    """`encode` of a key of one field."""
    if type(value) is str:
        return value.encode()
    found = part(value)
    return None if found is None else found.encode()


class KeyColumn(NamedTuple):
    """Row i has key `codes[i]` (-1: a part is null) of the distinct keys, which are sorted by their
    bytes.
    """

    codes: npt.NDArray[np.int64]
    data: npt.NDArray[np.uint8]
    offsets: npt.NDArray[np.int64]


def encode_columns(columns: Sequence[pa.Array]) -> KeyColumn:
    """What `encode` does, for whole columns."""
    return few(columns) if len(columns[0]) <= FEW else many(columns)


def few(columns: Sequence[pa.Array]) -> KeyColumn:
    """`encode_columns` row by row: each call of Arrow takes longer than a dozen rows do here."""
    values = (column.to_pylist() for column in columns)
    rows = list(map(encode, zip(*values, strict=True)))
    distinct = sorted({key for key in rows if key is not None})
    number: dict[bytes | None, int] = {key: i for i, key in enumerate(distinct)}
    offsets = np.zeros(len(distinct) + 1, np.int64)
    np.cumsum([len(key) for key in distinct], out=offsets[1:])
    codes = np.array([number.get(key, -1) for key in rows], np.int64)
    return KeyColumn(codes, np.frombuffer(bytearray().join(distinct), np.uint8), offsets)


def many(columns: Sequence[pa.Array]) -> KeyColumn:
    """`encode_columns` by Arrow and numpy."""
    codes, distinct = _dictionary(columns[0])
    for column in columns[1:]:
        codes, distinct = _paired(codes, distinct, *_dictionary(column))
    order = pc.array_sort_indices(distinct).to_numpy()
    rank = np.empty(len(order) + 1, np.int64)
    rank[order] = np.arange(len(order))
    rank[-1] = -1
    data, offsets = text_buffers(distinct.take(order))
    return KeyColumn(rank[codes], data, offsets)


def text_buffers(array: pa.Array) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Bytes and offsets of an Arrow string or binary array without copying the bytes."""
    _, offsets, data = array.buffers()
    if len(array) == 0 or offsets is None:
        return np.zeros(0, np.uint8), np.zeros(1, np.int64)
    at = np.frombuffer(offsets, np.int32, len(array) + 1, 4 * array.offset).astype(np.int64)
    if data is None:
        return np.zeros(0, np.uint8), at
    return np.frombuffer(data, np.uint8)[: at[-1]].copy(), at


def _dictionary(column: pa.Array) -> tuple[npt.NDArray[np.int64], pa.Array]:
    """Codes (-1: null) into the distinct values as text."""
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    codes = column.indices.fill_null(-1) if column.null_count else column.indices
    return codes.to_numpy().astype(np.int64), column.dictionary.cast(pa.string())


def _paired(
    left: npt.NDArray[np.int64],
    left_text: pa.Array,
    right: npt.NDArray[np.int64],
    right_text: pa.Array,
) -> tuple[npt.NDArray[np.int64], pa.Array]:
    """Codes into the distinct pairs, joined by the separator."""
    both = np.where((left < 0) | (right < 0), -1, left * max(len(right_text), 1) + right)
    distinct, codes = np.unique(both, return_inverse=True)
    nulls = int(len(distinct) > 0 and distinct[0] < 0)
    high, low = np.divmod(distinct[nulls:], max(len(right_text), 1))
    text = pc.binary_join_element_wise(
        left_text.take(pa.array(high)), right_text.take(pa.array(low)), SEPARATOR
    )
    return codes.reshape(-1).astype(np.int64) - nulls, text
