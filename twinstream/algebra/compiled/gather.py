"""Copies of some of many byte strings or word runs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from twinstream.algebra.compiled.jit import compiled

Bytes = npt.NDArray[np.uint8]
Words = npt.NDArray[np.int64]


@compiled
def ends(offsets: Words, rows: Words) -> Words:
    """Offsets of the runs `rows` once they lie side by side."""
    out = np.zeros(len(rows) + 1, np.int64)
    for i in range(len(rows)):
        out[i + 1] = out[i] + offsets[rows[i] + 1] - offsets[rows[i]]
    return out


@compiled
def take_bytes(data: Bytes, offsets: Words, rows: Words) -> tuple[Bytes, Words]:
    """The runs `rows` of data, side by side, with their offsets."""
    out_offsets = ends(offsets, rows)
    out = np.empty(out_offsets[-1], np.uint8)
    for i in range(len(rows)):
        start = offsets[rows[i]]
        for j in range(out_offsets[i], out_offsets[i + 1]):
            out[j] = data[start + j - out_offsets[i]]
    return out, out_offsets


@compiled
def take_words(words: Words, offsets: Words, rows: Words) -> tuple[Words, Words]:
    """The runs `rows` of words, side by side, with their offsets."""
    out_offsets = ends(offsets, rows)
    out = np.empty(out_offsets[-1], np.int64)
    for i in range(len(rows)):
        start = offsets[rows[i]]
        for j in range(out_offsets[i], out_offsets[i + 1]):
            out[j] = words[start + j - out_offsets[i]]
    return out, out_offsets
