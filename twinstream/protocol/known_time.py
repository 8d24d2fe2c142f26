"""When a record became known, and how far time has come: no clock and no timestamp that one input
brings moves everybody's time.
"""

# A time that lags delays; a time that runs ahead loses: windows are dropped, labels count as
# missing. So every rule errs to the past. Where no time is known yet it is the earliest that a
# record may have, not 1970: records of 1950 are legal.

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from schemas.plausible import FIRST_US

DAY_US = 86_400_000_000
LEAP_US = DAY_US
"""A step ahead by more is a leap: one input alone does not move time by it."""
EARLIEST_US = FIRST_US
Int64s = npt.NDArray[np.int64]


class LaneTime:
    """The time of one stream of records, moved by the moments that its records claim.

    It never goes back, and a leap moves it only when the record after it leaps too.
    A first record is believed until the next one contradicts it.
    """

    __slots__ = ("_alone", "_leap_us", "now_us")

    def __init__(self, now_us: int = EARLIEST_US) -> None:
        self.now_us = now_us
        self._alone = now_us == EARLIEST_US  # nothing but the first record speaks for `now_us`
        self._leap_us: int | None = None

    def take(self, claim_us: int) -> int:
        """Let a record's claim move the time; return when the record became known:
        never before the time that was.
        """
        if self._alone:
            self._begin(claim_us)
        elif claim_us <= self.now_us + LEAP_US:
            self._leap_us, self.now_us = None, max(self.now_us, claim_us)
        else:
            self._leap(claim_us)
        return max(self.now_us, claim_us)

    def take_all(self, claims_us: Int64s) -> Int64s:
        """`take` for one claim after the other, at once where none is a leap."""
        newest = np.maximum.accumulate(np.concatenate(([self.now_us], claims_us)))
        if (
            self._alone
            or self._leap_us is not None
            or bool((claims_us - newest[:-1] > LEAP_US).any())
        ):
            return np.fromiter(map(self.take, claims_us.tolist()), np.int64, len(claims_us))
        self.now_us = int(newest[-1])
        return newest[1:]

    def _begin(self, claim_us: int) -> None:
        first = self.now_us == EARLIEST_US
        if first or claim_us < self.now_us - LEAP_US:
            self.now_us = claim_us
        self._alone = first
        if not first:
            self.take(claim_us)

    def _leap(self, claim_us: int) -> None:
        """Two leaps in a row confirm the nearer one."""
        if self._leap_us is None:
            self._leap_us = claim_us
            return
        self.now_us = min(self._leap_us, claim_us)
        if claim_us <= self.now_us + LEAP_US:
            self._leap_us, self.now_us = None, claim_us
        else:
            self._leap_us = claim_us


def known_in_file(claim_us: int, accepted_us: int) -> int:
    """When a row of a file became known: as it claims, but not after the file was accepted."""
    return min(claim_us, accepted_us)


def agreed(halves_us: Sequence[int | None]) -> int:
    """The time of many rows from the newest claim of each half of them:
    where these are a leap apart, the nearer one.
    """
    claims = [claim for claim in halves_us if claim is not None]
    if len(claims) < len(halves_us):
        return EARLIEST_US
    return max(claims) if max(claims) - min(claims) <= LEAP_US else min(claims)


def as_of(before_us: int, claims_us: Iterable[int], now_us: int) -> int:
    """The time of an epoch: what its inputs agree on, never before that of the epoch before,
    never after `now_us`.

    `before_us`: EARLIEST_US where there is none. One that lies more than a leap after `now_us` came
    of a wrong clock and is not believed.
    """
    past = before_us if before_us <= now_us + LEAP_US else now_us
    return min(max(past, *claims_us, EARLIEST_US), max(past, now_us))
