"""How a model's questions are split by time: shares of them, or the moments at which parts end."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any, NoReturn, TypeGuard

from twinstream.define.durations import microseconds
from twinstream.define.fields.timestamp import microseconds_of
from twinstream.define.location import refuse, shown

SHARES = (0.7, 0.15)
"""For training and validation, unless others are declared."""
REMEDY = (
    "give two shares, as in TimeSplit(0.8, 0.1), or two moments with a zone, as in "
    'TimeSplit("2024-06-01T00:00:00Z", "2024-08-01T00:00:00Z")'
)


class TimeSplit:
    """The parts for training and for validation; what comes after them is the test.

    `train`, `validation`: shares of the questions, or the last moment of each part. `purged`: the
    time before the end of either part, in which questions are in none, because their outcome is of
    the part that follows; default is the label's horizon.
    """

    def __init__(
        self,
        train: float | str | datetime = SHARES[0],
        validation: float | str | datetime = SHARES[1],
        *,
        purged: str | None = None,
    ) -> None:
        self.shares: tuple[float, float] | None = None
        self.until_us: tuple[int, int] | None = None
        self.purged_us = None if purged is None else microseconds(purged, "purged")
        if _is_share(train) and _is_share(validation):
            self.shares = _checked_shares(train, validation)
        else:
            self.until_us = _checked_moments(_moment(train), _moment(validation))

    def canonical(self) -> dict[str, Any]:
        """As the definition's digest sees it."""
        return {"shares": self.shares, "until_us": self.until_us, "purged_us": self.purged_us}


def _is_share(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _checked_shares(
    train: float,
    validation: float,
) -> tuple[float, float]:
    possible = math.isfinite(train + validation) and min(train, validation) > 0
    if not possible or train + validation >= 1:
        refuse(
            f"shares {train:g} and {validation:g} leave a part of the questions empty",
            "both are above 0, and together below 1",
        )
    return float(train), float(validation)


def _checked_moments(train_us: int, validation_us: int) -> tuple[int, int]:
    if train_us >= validation_us:
        refuse("the part for training ends after that for validation", REMEDY)
    return train_us, validation_us


def _moment(value: object) -> int:
    """Microseconds."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        _refuse_end(value)
    if not isinstance(moment, datetime) or moment.utcoffset() is None:
        _refuse_end(value)
    return microseconds_of(moment)


def _refuse_end(value: object) -> NoReturn:
    refuse(f"a part of the questions cannot end at {shown(value)}", REMEDY)
