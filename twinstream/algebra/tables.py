"""A plan as the compiled loops take it: tables of int64, and the names of their columns.

    hops      one row for each hop 0..3: the ranges of the other tables that belong to it, and the words of its fixed slots
    fixed     one row for each fixed slot      sparse    one row for each sparse slot
    windows   one row for each window, shortest first within a hop: its length, the range of its outputs, and whether
              one of them depends on the moment itself
    outputs   one row for each output: its form, where its slots are, where its answer goes, its parameter

A hop of no window has empty ranges. A place in `outputs` is an offset in the row, or of a sparse
array ~number (negative).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.int64]

HOPS: Final = 4
# columns of `hops`
FIXED: Final = 0
FIXED_END: Final = 1
SPARSE: Final = 2
SPARSE_END: Final = 3
FIXED_WORDS: Final = 4
WINDOWS: Final = 5
WINDOWS_END: Final = 6
# columns of `fixed` and, the first two, of `sparse`
OP: Final = 0
COLUMN: Final = 1
OFFSET: Final = 2  # in the row
SIZE: Final = 3  # words
# columns of `windows`
LENGTH_US: Final = 0
OUTPUTS: Final = 1
OUTPUTS_END: Final = 2
BY_MOMENT: Final = 3  # whether an output of it depends on the moment itself
# columns of `outputs`
FORM: Final = 0
PLACE_A: Final = 1
PLACE_B: Final = 2
PLACE_C: Final = 3
WIDTH: Final = 4
ANSWER_AT: Final = 5
NUMERATOR: Final = 6
DENOMINATOR: Final = 7
# columns of the entries that lifting and splitting make: runs of rows that are stored under one key
ENTRY_KEY: Final = 0
ENTRY_HOP: Final = 1
ENTRY_CHUNK: Final = 2
ENTRY_START: Final = 3  # first word
ENTRY_COLUMNS: Final = 4


class Tables(NamedTuple):
    """A plan for the compiled loops; the columns of its tables are named above."""

    hops: Words  # [HOPS, 7]
    fixed: Words  # [n, 4]
    sparse: Words  # [n, 2]
    windows: Words  # [n, 4]
    outputs: Words  # [n, 8]
    divisors: npt.NDArray[np.float64]  # [outputs]
    stands_for: npt.NDArray[np.float64]  # [IDS]: what stands for each bucket id, then NaN
