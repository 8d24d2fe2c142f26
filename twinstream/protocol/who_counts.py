"""Which rows of one id count: the history keeps this rule by SQL, epoch by epoch;
laws compare the two.
"""

# Within one log partition the first writer wins by raw offset, and ingest drops a repeat within the
# source's `dedupe` time. Both happened before. What is left is an id that comes in a file and live,
# in two files, or live in two partitions.
#
# 1. The first epoch in which the id comes decides.
# 2. Does it come live in that epoch, then all its live rows count, in every epoch,
# and no row of a file ever does.
# 3. Else the first row of that epoch's files counts, by position, and nothing else ever does.
#
# An epoch that lands later can therefore change nothing about an epoch that landed.
# A row counts from its own epoch on; live rows that no landed epoch holds yet all count (an id that
# came in a file as well is counted twice until its epoch lands).

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar


class Row(Protocol):
    """What the rule reads of a row; `position` is its place in the total order, below 0 for a row
    of a file.
    """

    @property
    def id(self) -> bytes: ...
    @property
    def epoch(self) -> int: ...
    @property
    def position(self) -> int: ...


R = TypeVar("R", bound=Row)


def counting(rows: Iterable[R], epoch: int) -> list[R]:
    """The rows that count once `epoch` has landed, in the order given;
    rows of later epochs are left out.
    """
    landed = [row for row in rows if row.epoch <= epoch]
    winners = _winners(landed)
    return [row for row in landed if _counts(row, winners[row.id])]


def _winners(rows: Sequence[R]) -> dict[bytes, tuple[int, bool, int]]:
    """Of each id the row that comes first: (epoch, whether from a file, position)."""
    first: dict[bytes, tuple[int, bool, int]] = {}
    for row in rows:
        place = _place(row)
        first[row.id] = min(place, first.get(row.id, place))
    return first


def _place(row: Row) -> tuple[int, bool, int]:
    return row.epoch, row.position < 0, row.position


def _counts(row: Row, winner: tuple[int, bool, int]) -> bool:
    _, from_file, _ = winner
    return _place(row) == winner if from_file else row.position >= 0
