"""The total order of a source's rows, and which rows of a log partition count. Pure."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from schemas.packs import PackHeader

FILES_FROM: Final = -(1 << 62)
"""All rows of files come before all rows of the log, and every position is far from overflow."""
FILE_SHIFT: Final = 32
MOST_FILE_ROWS: Final = 1 << FILE_SHIFT
RAW_SHIFT: Final = 44

Int64s = npt.NDArray[np.int64]


def position_in_log(partition: int, raw: Int64s) -> Int64s:
    """The position of rows of the log: by log partition, then by raw offset."""
    return np.asarray(raw + (partition << RAW_SHIFT), np.int64)


def position_in_files(number: int, row: Int64s) -> Int64s:
    """The position of rows of an accepted file: by number of the file, then by row."""
    return np.asarray(row + (FILES_FROM + (number << FILE_SHIFT)), np.int64)


def beyond_all_before(raw: Int64s, raw_high: int) -> npt.NDArray[np.bool_]:
    """Which rows of a message count: those whose raw offset is beyond `raw_high` and all before.

    Writers of a log overlap for a moment when one was taken for dead, so the first one wins.
    """
    newest = np.maximum.accumulate(np.concatenate(([raw_high], raw)))
    return np.asarray(raw > newest[:-1], np.bool_)


def raw_high_after(raw_high: int, message: PackHeader) -> int:
    """The highest raw offset of a log partition once a message is read, pack or barrier."""
    return max(raw_high, message.raw_last, message.raw_high)
