"""In which batch shapes networks answer: a shape may change the last bits of a score,
so there are few, and a prediction keeps its own. Pure.
"""

from __future__ import annotations

SHAPES = (1, 8, 16, 32, 64, 256, 512)
"""Each divides the largest, so that a row's place in its batch follows from its index."""


def shape_of(rows: int) -> int:
    """The shape in which so many rows are computed, at most the largest."""
    return next(shape for shape in SHAPES if shape >= rows)
