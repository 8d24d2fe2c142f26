"""Byte form of a partial: the fold of one log message for one target partition, or a marker that
there was nothing for it.
"""

# Header: 12 little-endian int64. Body: key lengths (uint16), keys, word counts (uint32),
# words (int64): a `StateBatch` in bytes.

from __future__ import annotations

import struct

import msgspec

MAGIC = 0x3154524150574B54
_HEADER = struct.Struct("<12q")


class PartialHeader(msgspec.Struct, frozen=True, kw_only=True):
    """Where a partial comes from. A view applies it when `previous` <= what it applied last <
    `origin_offset`.

    `origin_*`: log partition and offset of the message folded; `previous`:
    offset of the one sent before it to this target; `epoch`: the epoch its pack lies in (of a
    barrier: the epoch it ends); `raw_high`: highest raw offset that counted so far in that log
    partition.
    """

    origin_partition: int
    origin_offset: int
    previous: int
    epoch: int
    raw_high: int
    barrier: int = 0
    rows: int = 0
    keys: int = 0
    written_us: int = 0
    log_written_us: int = 0


def encode_header(h: PartialHeader) -> bytes:
    """The 96 header bytes."""
    return _HEADER.pack(
        MAGIC,
        h.origin_partition,
        h.origin_offset,
        h.previous,
        h.epoch,
        h.raw_high,
        h.barrier,
        h.rows,
        h.keys,
        h.written_us,
        h.log_written_us,
        0,
    )


def decode_header(data: bytes) -> PartialHeader:
    """The header; raises ValueError when the bytes are no partial."""
    if len(data) < _HEADER.size:
        raise ValueError(
            f"partial of {len(data)} bytes is shorter than its header of {_HEADER.size}"
        )
    magic, *f = _HEADER.unpack_from(data)
    if magic != MAGIC:
        raise ValueError(f"partial starts with {magic:#x}, not with a partial's magic number")
    return PartialHeader(
        origin_partition=f[0],
        origin_offset=f[1],
        previous=f[2],
        epoch=f[3],
        raw_high=f[4],
        barrier=f[5],
        rows=f[6],
        keys=f[7],
        written_us=f[8],
        log_written_us=f[9],
    )


def header_of(data: bytes | None) -> PartialHeader | None:
    """The header of any message of a partials topic; None for one that the speed layer did not
    write, which is passed over.

    That loses nothing: if a partial is missing, the one behind it names a `previous` that was not
    applied.
    """
    try:
        return decode_header(data or b"")
    except ValueError:
        return None


HEADER_BYTES = _HEADER.size
STATE_BYTES = 16 << 20
"""A pack has so few rows that the states of none of its views take more;
its keys, at each of four hops, take at most as much again.
"""
