"""How a training set is split by time: training, then validation, then test. Pure."""

from __future__ import annotations

import msgspec
import numpy as np
import numpy.typing as npt

TRAIN_SHARE, VALIDATION_SHARE = 0.70, 0.15
Int64s = npt.NDArray[np.int64]


class Split(msgspec.Struct, frozen=True):
    """Both ends belong to the part that they end: a row at `train_until_us` is for training.

    Rows after it up to and with `validation_until_us` are for validation, the rest for the test.
    """

    train_until_us: int
    validation_until_us: int

    def trains(self, at_us: Int64s) -> npt.NDArray[np.bool_]:
        """Which rows are for training: those by which the statistics are fitted too."""
        return np.asarray(at_us <= self.train_until_us)

    def ends(self, at_us: Int64s) -> tuple[int, int]:
        """The number of the first validation row and of the first test row; `at_us` ascends."""
        bounds = [self.train_until_us, self.validation_until_us]
        first, second = np.searchsorted(at_us, bounds, side="right").tolist()
        return first, second


def split_by_time(at_us: Int64s, counts: Int64s) -> Split:
    """70 % and 85 % of the rows lie up to its ends, as nearly as timestamps allow.

    `at_us`: each timestamp once, ascending; `counts`: how many rows have it.
    """
    upto = np.cumsum(counts)
    shares = (TRAIN_SHARE, TRAIN_SHARE + VALIDATION_SHARE)
    train, validation = (int(at_us[np.searchsorted(upto, part * upto[-1])]) for part in shares)
    return Split(train_until_us=train, validation_until_us=validation)


def ends_by_share(rows: int) -> tuple[int, int]:
    """As `Split.ends`, of a set that names no split."""
    return int(rows * TRAIN_SHARE), int(rows * (TRAIN_SHARE + VALIDATION_SHARE))
