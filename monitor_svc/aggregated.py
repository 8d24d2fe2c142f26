"""Labels over the time after the question, for the questions that are due: by the function that the
batch layer calls for all of them.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from monitor_svc.label_rows import Asked, LabelRow
from twinstream.algebra import ahead
from twinstream.define.outcome import OutcomeAggregate

Longs = npt.NDArray[np.int64]
Due = Sequence[tuple[Hashable, Asked]]
RowsByKey = Mapping[Hashable, Sequence[LabelRow]]
OTHER = -2
"""The number of an id that no question has."""


class AggregatedLabel:
    """One label's aggregate and its horizon."""

    def __init__(self, value: OutcomeAggregate, horizon_us: int) -> None:
        self._value, self._horizon_us = value, horizon_us

    def of(self, due: Due, rows: RowsByKey) -> list[float]:
        """What the label is worth for each question, NaN for null; `rows` of a key are as they
        came.
        """
        keys = _numbers(key for key, _ in due)
        owns = _numbers(asked.own for _, asked in due)
        answers = ahead.answers(
            self._value,
            _records(keys, owns, rows),
            _questions(keys, owns, due),
            self._horizon_us,
        )
        labels: list[float] = self._value.labels(answers).tolist()
        return labels


def _numbers(values: Iterable[Hashable]) -> dict[Hashable, int]:
    """A number for each different value but None."""
    different = dict.fromkeys(values)
    different.pop(None, None)
    return {value: number for number, value in enumerate(different)}


def _questions(
    keys: Mapping[Hashable, int],
    owns: Mapping[Hashable, int],
    due: Due,
) -> ahead.QuestionRows:
    return ahead.QuestionRows(
        key=_longs(keys[key] for key, _ in due),
        at=_longs(asked.at_us for _, asked in due),
        own=_longs(owns.get(asked.own, ahead.NOBODY) for _, asked in due),
    )


def _records(
    keys: Mapping[Hashable, int],
    owns: Mapping[Hashable, int],
    rows: RowsByKey,
) -> ahead.RecordRows:
    """Of these keys."""
    found = [row for key in keys for row in rows.get(key, ())]
    own = [owns.get(row.own, OTHER) for row in found]
    return ahead.RecordRows(
        key=_longs(keys[row.key] for row in found),
        time=_longs(row.event_us for row in found),
        position=np.arange(len(found)),
        own=_longs(own),
        value=_longs(row.value for row in found),
    )


def _longs(values: Iterable[int]) -> Longs:
    return np.fromiter(values, np.int64)
