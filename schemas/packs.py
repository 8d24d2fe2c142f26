"""Byte form of the log: a pack of accepted records, or a barrier that ends an epoch.
Header, then an Arrow record batch.
"""

# Header: 12 little-endian int64. Columns of a pack: `_raw` int64 (raw offset), `_known_us` int64,
# then the source's fields.

from __future__ import annotations

import struct

import msgspec
import pyarrow as pa

from schemas.plausible import FIRST_US

MAGIC = 0x314B4341504B5754  # "TWKPACK1" read as little-endian int64
PACK, BARRIER = 0, 1
_HEADER = struct.Struct("<12q")
HEADER_BYTES = _HEADER.size
RAW, KNOWN = "_raw", "_known_us"


class PackHeader(msgspec.Struct, frozen=True, kw_only=True):
    """What a log message covers, so that its reader needs nothing that came before it.

    `raw_first..raw_last`: raw offsets covered, empty when first > last. `raw_high`:
    highest raw offset covered up to and with this message. `epoch`:
    for a pack the epoch it lies in, for a barrier the epoch it ends. `barrier_*`:
    the last barrier before this message (-1: none).
    """

    kind: int
    epoch: int
    rows: int
    raw_first: int
    raw_last: int
    raw_high: int
    barrier_epoch: int = -1
    barrier_offset: int = -1
    barrier_raw_high: int = -1
    known_max_us: int = FIRST_US
    written_us: int = 0


def encode_pack(header: PackHeader, batch: pa.RecordBatch | None) -> bytes:
    """Header and, for a pack with rows, the schema-less Arrow record batch."""
    h = header
    head = _HEADER.pack(
        MAGIC,
        h.kind,
        h.epoch,
        h.rows,
        h.raw_first,
        h.raw_last,
        h.raw_high,
        h.barrier_epoch,
        h.barrier_offset,
        h.barrier_raw_high,
        h.known_max_us,
        h.written_us,
    )
    return (
        head
        if batch is None or batch.num_rows == 0
        else b"".join((head, memoryview(batch.serialize())))
    )


def decode_header(data: bytes) -> PackHeader:
    """The header; raises ValueError when the bytes are no log message."""
    if len(data) < _HEADER.size:
        raise ValueError(
            f"log message of {len(data)} bytes is shorter than its header of {_HEADER.size}"
        )
    magic, *f = _HEADER.unpack_from(data)
    if magic != MAGIC:
        raise ValueError(f"log message starts with {magic:#x}, not with a pack's magic number")
    return PackHeader(
        kind=f[0],
        epoch=f[1],
        rows=f[2],
        raw_first=f[3],
        raw_last=f[4],
        raw_high=f[5],
        barrier_epoch=f[6],
        barrier_offset=f[7],
        barrier_raw_high=f[8],
        known_max_us=f[9],
        written_us=f[10],
    )


NOTHING = PackHeader(kind=PACK, epoch=0, rows=0, raw_first=0, raw_last=-1, raw_high=-1)
"""What a message of the log that ingest did not write stands for: a pack that covers nothing."""


def log_header(data: bytes | None) -> PackHeader:
    """The header of any message of a log; NOTHING for one that is no log message.

    Ingest alone writes the log, and every message that it writes begins with the magic number.
    So whatever else lies there covers no record, and every reader passes over it alike.
    """
    try:
        return decode_header(data or b"")
    except ValueError:
        return NOTHING


def decode_rows(data: bytes, schema: pa.Schema) -> pa.RecordBatch:
    """The rows of a pack; `schema` is `pack_schema` of its source.

    A barrier or an empty pack has none.
    """
    if len(data) == _HEADER.size:
        return pa.RecordBatch.from_pylist([], schema=schema)
    return pa.ipc.read_record_batch(pa.py_buffer(data).slice(_HEADER.size), schema)


def pack_schema(fields: list[pa.Field]) -> pa.Schema:
    """Arrow schema of a pack of a source with these fields."""
    return pa.schema(
        [
            pa.field(RAW, pa.int64(), nullable=False),
            pa.field(KNOWN, pa.int64(), nullable=False),
            *fields,
        ]
    )
