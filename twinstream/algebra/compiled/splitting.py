"""Blobs of view keys cut into the chunks under which the speed view stores them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from twinstream.algebra.compiled.jit import compiled
from twinstream.algebra.compiled.merging import hop_of, row_fits
from twinstream.algebra.layout import FINE, HEADER, HOP_SHIFT, MALFORMED
from twinstream.algebra.plan import Tables
from twinstream.algebra.windows import CHUNK_TILES

Words = npt.NDArray[np.int64]


@compiled
def chunk_entries(t: Tables, offsets: Words, words: Words) -> tuple[Words, int]:
    """[n, 4]: key, hop, chunk and first word of each run of rows of one chunk; what went wrong."""
    entries = np.empty((len(words) // HEADER, 4), np.int64)
    n = 0
    for k in range(len(offsets) - 1):
        opened, row = n, offsets[k]
        while row < offsets[k + 1]:
            if not row_fits(t, words, row, offsets[k + 1]):
                return entries[:0], MALFORMED
            hop = hop_of(words[row])
            chunk = (words[row] - (hop << HOP_SHIFT)) // CHUNK_TILES[hop]
            if n == opened or entries[n - 1, 1] != hop or entries[n - 1, 2] != chunk:
                entries[n, 0], entries[n, 1], entries[n, 2], entries[n, 3] = k, hop, chunk, row
                n += 1
            row += words[row + 1]
    return entries[:n], FINE
