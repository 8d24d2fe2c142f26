"""Looks at the messages of an Arrow stream before anything of them is unpacked: few compressed
bytes can claim gigabytes.
"""

from __future__ import annotations

import struct

import pyarrow as pa

MESSAGE_KIND, MESSAGE_HEADER = 1, 2
BATCH_COMPRESSION, DICTIONARY_DATA = 3, 1
DICTIONARY, BATCH = 2, 3
"""Fields of Message, RecordBatch and DictionaryBatch in Arrow's Message.fbs, and header kinds."""


def has_packed_buffers(stream: bytes) -> bool:
    """Whether a batch of the stream says that its buffers are compressed.

    Raises ArrowInvalid for what is not a stream.
    """
    source = pa.BufferReader(stream)
    while True:
        try:
            message = pa.ipc.read_message(source)
        except EOFError:
            return False
        if message is None:
            return False
        try:
            if _is_packed(message.metadata.to_pybytes()):
                return True
        except (struct.error, IndexError) as error:
            raise pa.ArrowInvalid(f"a message is broken: {error}") from error


def _is_packed(message: bytes) -> bool:
    root = _follow(message, 0)
    kind_at = _field(message, root, MESSAGE_KIND)
    kind = message[kind_at] if kind_at else 0
    if kind not in {DICTIONARY, BATCH}:
        return False
    batch = _follow(message, _field(message, root, MESSAGE_HEADER))
    if kind == DICTIONARY:
        batch = _follow(message, _field(message, batch, DICTIONARY_DATA))
    return bool(_field(message, batch, BATCH_COMPRESSION))


def _follow(data: bytes, at: int) -> int:
    """Where the table lies to which the offset at `at` points."""
    return at + int(struct.unpack_from("<I", data, at)[0])


def _field(data: bytes, table: int, number: int) -> int:
    """Where a table's field lies; 0: it has none.

    FlatBuffers: a table begins with the way back to its vtable.
    """
    vtable = table - int(struct.unpack_from("<i", data, table)[0])
    (size,) = struct.unpack_from("<H", data, vtable)
    place = 4 + 2 * number
    offset = int(struct.unpack_from("<H", data, vtable + place)[0]) if place < size else 0
    return table + offset if offset else 0
