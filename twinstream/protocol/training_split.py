"""How a training set is split by time: training, then validation, then test. Pure."""

# A question near the end of a part has an outcome in the next one, and is in neither: what is
# learned has then seen nothing of what it is judged by.

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from twinstream.define.time_split import SHARES, TimeSplit

Int64s = npt.NDArray[np.int64]
PARTS = ("train", "validation", "test")


class Parts(NamedTuple):
    """The numbers of the rows of each part, in the order of time."""

    train: range
    validation: range
    test: range


class Split(msgspec.Struct, frozen=True):
    """Both ends belong to the part that they end: a row at `train_until_us` may be for training.

    Rows after it up to and with `validation_until_us` are for validation, the rest for the test;
    those of the last `purged_us` before an end, which it belongs to, are in no part.
    """

    train_until_us: int
    validation_until_us: int
    purged_us: int = 0

    @property
    def spans_us(self) -> dict[str, tuple[int | None, int | None]]:
        """The moments after which a part begins, and up to and with which it goes; None: no
        bound.
        """
        train, validation = self.train_until_us, self.validation_until_us
        return {
            "train": (None, train - self.purged_us),
            "validation": (train, validation - self.purged_us),
            "test": (validation, None),
        }

    def trains(self, at_us: Int64s) -> npt.NDArray[np.bool_]:
        """Which rows are for training: those by which the statistics are fitted too."""
        return np.asarray(at_us <= self.train_until_us - self.purged_us)

    def parts(self, at_us: Int64s) -> Parts:
        """Which rows are in each part; `at_us` ascends."""
        found = (self._rows(at_us, *self.spans_us[part]) for part in PARTS)
        return Parts(*found)

    @staticmethod
    def _rows(at_us: Int64s, after_us: int | None, until_us: int | None) -> range:
        start = 0 if after_us is None else _upto(at_us, after_us)
        stop = len(at_us) if until_us is None else _upto(at_us, until_us)
        return range(start, max(start, stop))


def _upto(at_us: Int64s, moment_us: int) -> int:
    """How many rows there are up to and with a moment."""
    return int(np.searchsorted(at_us, moment_us, side="right"))


def declared_split(
    declared: TimeSplit,
    horizon_us: int,
    at_us: Int64s,
    counts: Int64s,
) -> Split:
    """As the definition says. `horizon_us`: the label's; `at_us`: each timestamp once, ascending;
    `counts`: how many rows have it.
    """
    purged_us = horizon_us if declared.purged_us is None else declared.purged_us
    if declared.until_us is not None:
        return Split(*declared.until_us, purged_us)
    assert declared.shares is not None
    return split_by_time(at_us, counts, declared.shares, purged_us)


def split_by_time(
    at_us: Int64s,
    counts: Int64s,
    shares: tuple[float, float],
    purged_us: int = 0,
) -> Split:
    """So many shares of the rows lie up to its ends, as nearly as timestamps allow, before any
    is purged. `at_us`: each timestamp once, ascending; `counts`: how many rows have it.
    """
    upto = np.cumsum(counts)
    ends = (shares[0], shares[0] + shares[1])
    train, validation = (int(at_us[np.searchsorted(upto, part * upto[-1])]) for part in ends)
    return Split(train, validation, purged_us)


def parts_by_share(rows: int) -> Parts:
    """As `Split.parts`, of a set that names no split."""
    first, second = int(rows * SHARES[0]), int(rows * sum(SHARES))
    return Parts(range(first), range(first, second), range(second, rows))


def split_in(statistics: Mapping[str, object]) -> Split | None:
    """What the document of a set's statistics says of its split, as plain data."""
    given = statistics.get("split")
    return msgspec.convert(given, Split) if given else None
