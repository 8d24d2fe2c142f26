"""What the answer of an aggregate is made from: the merged tiles of one window, and the moment of
the question.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from twinstream.algebra.compiled.jit import compiled_late
from twinstream.algebra.layout import FULL

Words = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class Merged(NamedTuple):
    """The merged tiles of a window at the moment of a question, the same for all aggregates."""

    words: Words
    at_us: int
    """The moment of the question."""
    stands_for: Floats
    """What stands for each bucket of the quantile sketch."""


class Slots(NamedTuple):
    """Where in the words an aggregate's first three slots begin, in the order in which `declare`
    names them, and its constants.

    fixed    a -> | word | word | ...          under the slot's op, see `layout`
    sparse   a -> | n | entry | ... n of them  `entries`: id << 48 | count or rank, ascending
    """

    a: int
    b: int
    c: int
    divisor: float
    """The power of ten by which stored integers are scaled."""
    numerator: int
    denominator: int
    """The parameter of the declaration, as a fraction."""
    k: int
    """Which number of the answer is asked for, from 0."""


@compiled_late
def entries(words: Words, at: int) -> Words:
    """The entries of a sparse slot that begins at `at`."""
    return words[at + 1 : at + 1 + words[at]]


@compiled_late
def counted(count: int) -> float:
    """A count as a number; null when it has stopped counting."""
    return math.nan if count == FULL else float(count)


@compiled_late
def nothing(count: int) -> bool:
    """Whether no value was counted, or more than a count can hold."""
    return count in (0, FULL)
