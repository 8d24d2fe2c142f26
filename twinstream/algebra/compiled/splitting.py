"""Blobs cut into the chunks under which the speed view stores them; blobs without their oldest
rows.
"""

# A blob is cut where the chunk of its rows changes:
#
#     words     | row | row | row | row |
#     chunk       1     1     2     2
#     entries   ^ key, hop, 1, 0    ^ key, hop, 2, first word
#
# Rule: the chunks of a blob, one after the other, are the blob.

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from twinstream.algebra.compiled.jit import compiled
from twinstream.algebra.compiled.merging import hop_of, row_fits
from twinstream.algebra.layout import FINE, HEADER, HOP_SHIFT, MALFORMED, ROW_WORDS
from twinstream.algebra.tables import (
    ENTRY_CHUNK,
    ENTRY_COLUMNS,
    ENTRY_HOP,
    ENTRY_KEY,
    ENTRY_START,
    Tables,
)
from twinstream.algebra.windows import CHUNK_TILES

Words = npt.NDArray[np.int64]


@compiled
def chunk_entries(t: Tables, offsets: Words, words: Words) -> tuple[Words, int]:
    """[n, 4]: key, hop, chunk and first word of each run of rows of one chunk; what went wrong."""
    entries = np.empty((len(words) // HEADER, ENTRY_COLUMNS), np.int64)
    n = 0
    for k in range(len(offsets) - 1):
        opened, row = n, offsets[k]
        while row < offsets[k + 1]:
            if not row_fits(t.hops, words, row, offsets[k + 1]):
                return entries[:0], MALFORMED
            hop = hop_of(words[row])
            chunk = (words[row] - (hop << HOP_SHIFT)) // CHUNK_TILES[hop]
            if (
                n == opened
                or entries[n - 1, ENTRY_HOP] != hop
                or entries[n - 1, ENTRY_CHUNK] != chunk
            ):
                (
                    entries[n, ENTRY_KEY],
                    entries[n, ENTRY_HOP],
                    entries[n, ENTRY_CHUNK],
                    entries[n, ENTRY_START],
                ) = k, hop, chunk, row
                n += 1
            row += words[row + ROW_WORDS]
    return entries[:n], FINE


@compiled
def newer_rows(
    t: Tables, offsets: Words, words: Words, since: Words
) -> tuple[Words, Words, Words, int]:
    """Rows whose tile is not before `since` of its hop: (words, offsets, numbers of the keys that
    keep any, what went wrong).
    """
    out, out_offsets, kept = (
        np.empty(len(words), np.int64),
        np.zeros(len(offsets), np.int64),
        np.empty(len(offsets), np.int64),
    )
    n, at = 0, 0
    for k in range(len(offsets) - 1):
        row = offsets[k]
        while row < offsets[k + 1]:
            if not row_fits(t.hops, words, row, offsets[k + 1]):
                return out[:0], out_offsets[:1], kept[:0], MALFORMED
            hop, size = hop_of(words[row]), words[row + ROW_WORDS]
            if words[row] - (hop << HOP_SHIFT) >= since[hop]:
                for i in range(size):
                    out[at + i] = words[row + i]
                at += size
            row += size
        if at > out_offsets[n]:
            kept[n] = k
            n += 1
            out_offsets[n] = at
    return out[:at], out_offsets[: n + 1], kept[:n], FINE


@compiled
def suffix_codes(data: npt.NDArray[np.uint8], offsets: Words) -> Words:
    """The last five bytes of each key as a number, the first byte the highest."""
    out = np.zeros(len(offsets) - 1, np.int64)
    for i in range(len(out)):
        for at in range(offsets[i + 1] - 5, offsets[i + 1]):
            out[i] = out[i] << 8 | data[at]
    return out
