"""Joins predictions and the labels that come later: late, missing or corrected ones too,
in bounded memory.
"""

# A prediction waits until its horizon has passed, whatever is known of it before;
# then its label counts. It is kept for one more horizon, in which a late label still revises it.

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Hashable, Iterable
from typing import Literal

from monitor_svc.aggregated import AggregatedLabel
from monitor_svc.label_rows import Asked, LabelRow, Outcome
from twinstream.define.label import Label
from twinstream.define.outcome import OutcomeAggregate
from twinstream.protocol.known_time import EARLIEST_US
from twinstream.protocol.outcomes import (
    after_question,
    horizon_passed,
    label_of,
    latest_us,
    within_horizon,
)


class Joiner:
    """Joins the predictions of one model to its label.

    The label of a prediction asked at t is the outcome of the record with the same key whose event
    time lies in [t, t + horizon], of several the latest by event time, of equal ones the latest in
    the log; or an aggregate of all such records of (t, t + horizon]. `missing` when there is none
    or it is null. It counts by the rule of `protocol.outcomes.labelled`. `advance` tells how far
    time has come.
    """

    def __init__(self, label: Label, max_kept: int = 1_000_000) -> None:
        self._horizon_us = label.horizon_us
        self._missing = label.missing
        self._max_kept = max_kept
        self._at_once = label.at_once
        value = label.value
        self._over = (
            AggregatedLabel(value, label.horizon_us)
            if isinstance(value, OutcomeAggregate)
            else None
        )
        self._asked: dict[Hashable, list[Asked]] = {}
        self._due: list[tuple[int, int, Hashable, Asked, bool]] = []
        self._rows: dict[Hashable, list[LabelRow]] = {}
        self._row_order: deque[LabelRow] = deque()
        self._number = 0
        self.pending = 0
        self.given_up = 0
        self.unjudged = 0
        """Questions that came due while what their label rests on was not all here."""
        self.unread_until_us = EARLIEST_US
        """Records up to here may be where this service does not read: none here says nothing."""
        self._gone_until_us = EARLIEST_US
        """Records up to here may have been forgotten."""

    def ask(
        self,
        key: Hashable,
        asked: Asked,
        due_from_us: int,
    ) -> list[Outcome]:
        """Take a prediction; its horizon runs from `due_from_us` (or from its own time,
        if that is later).
        """
        self._asked.setdefault(key, []).append(asked)
        due_us = latest_us(max(asked.at_us, due_from_us), self._horizon_us)
        self._push(due_us, key, asked, expired=False)
        self.pending += 1
        self._bound()
        rows = self._rows.get(key, ()) if self._over is None else ()
        return [outcome for row in rows for outcome in self._apply(asked, row)]

    def label(self, row: LabelRow) -> list[Outcome]:
        """Take a label record, in the order of its log."""
        self._rows.setdefault(row.key, []).append(row)
        self._row_order.append(row)
        if len(self._row_order) > self._max_kept:
            self._give_up_row()
        asked = self._asked.get(row.key, ())
        if self._over is not None:
            return self._revise(self._over, row, asked)
        return [outcome for question in asked for outcome in self._apply(question, row)]

    def advance(self, known_us: int) -> list[Outcome]:
        """Everything known up to `known_us` was given: questions whose horizon has passed are
        labelled; what is past use is forgotten.
        """
        due = self._come_due(known_us)
        if self._over is not None:
            for (_, asked), worth in zip(due, self._over.of(due, self._rows), strict=True):
                self._say(asked, worth)
        found = [outcome for _, asked in due for outcome in self._expire(asked)]
        self._forget_until(known_us - 2 * self._horizon_us)
        return found

    def _forget_until(self, kept_from_us: int) -> None:
        while self._row_order and self._row_order[0].known_us < kept_from_us:
            gone_us = self._forget_row().known_us
            self._gone_until_us = max(self._gone_until_us, gone_us)

    def _come_due(self, known_us: int) -> list[tuple[Hashable, Asked]]:
        """The questions whose horizon has passed by now; those that were kept for another are
        forgotten.
        """
        found: list[tuple[Hashable, Asked]] = []
        while self._due and horizon_passed(self._due[0][0], known_us):
            due_us, _, key, asked, expired = heapq.heappop(self._due)
            if expired:
                self._forget(key, asked)
            else:
                found.append((key, asked))
                self._push(due_us + self._horizon_us, key, asked, expired=True)
        return found

    def _revise(
        self,
        over: AggregatedLabel,
        row: LabelRow,
        asked: Iterable[Asked],
    ) -> list[Outcome]:
        """What a late record changes of the labels that count already."""
        due = [
            (row.key, question)
            for question in asked
            if question.expired and self._belongs(question, row)
        ]
        labels = over.of(due, self._rows) if due else []
        found: list[Outcome] = []
        for (_, question), worth in zip(due, labels, strict=True):
            found += self._say(question, worth)
        return found

    def _belongs(self, asked: Asked, row: LabelRow) -> bool:
        """Whether the aggregate of a question is over this row."""
        return after_question(
            asked.at_us,
            row.event_us,
            self._horizon_us,
        )

    def _say(self, asked: Asked, worth: float) -> list[Outcome]:
        """What the aggregate says now of a question; NaN: null."""
        if math.isnan(worth):
            asked.label_event_us = None
        else:
            asked.label_event_us = latest_us(asked.at_us, self._horizon_us)
        return self._set(asked, label_of(worth, self._missing))

    def kept(self) -> tuple[int, int]:
        """Predictions and label records in memory."""
        return len(self._due), len(self._row_order)

    def _apply(self, asked: Asked, row: LabelRow) -> list[Outcome]:
        if not within_horizon(asked.at_us, row.event_us, self._horizon_us):
            return []
        if asked.label_event_us is not None and row.event_us < asked.label_event_us:
            return []
        asked.label_event_us = row.event_us
        return self._set(asked, label_of(row.outcome, self._missing))

    def _expire(self, asked: Asked) -> list[Outcome]:
        """Settle a question whose horizon has passed."""
        settled = self._settled(asked)
        self.pending -= not settled
        asked.expired = True
        if settled or self._is_unjudged(asked):
            return []
        how: Literal["arrived", "missing"] = "arrived"
        if asked.label_event_us is None:
            asked.label, how = self._missing, "missing"
        return [] if asked.label is None else [_outcome(asked, None, how)]

    def _is_unjudged(self, asked: Asked) -> bool:
        """Whether nothing is said of a question, because its outcome may lie unread.

        Where no record means a label too, those with one here are more often of one outcome; an
        aggregate of some of its records is another one.
        """
        needs_all = self._missing is not None or self._over is not None
        unread_us = max(self.unread_until_us, self._gone_until_us)
        asked.unjudged = needs_all and asked.at_us <= unread_us
        self.unjudged += asked.unjudged
        return asked.unjudged

    def _set(self, asked: Asked, label: float | None) -> list[Outcome]:
        """What the records say now; None: the latest one's outcome is null, and such questions are
        left out.
        """
        waited = not self._settled(asked)
        before, asked.label = asked.label, label
        self.pending += (not self._settled(asked)) - waited
        changed = self._counts(asked) and before != label
        return [_outcome(asked, before, "arrived")] if changed else []

    def _counts(self, asked: Asked) -> bool:
        """Whether what a record says of it counts now."""
        return self._at_once or (asked.expired and not asked.unjudged)

    def _settled(self, asked: Asked) -> bool:
        return asked.expired or (self._at_once and asked.label is not None)

    def _push(
        self,
        due_us: int,
        key: Hashable,
        asked: Asked,
        *,
        expired: bool,
    ) -> None:
        self._number += 1
        heapq.heappush(self._due, (due_us, self._number, key, asked, expired))

    def _bound(self) -> None:
        while len(self._due) > self._max_kept:
            _, _, key, asked, _ = heapq.heappop(self._due)
            self.pending -= not self._settled(asked)
            self.given_up += 1
            self._forget(key, asked)

    def _forget(self, key: Hashable, asked: Asked) -> None:
        others = self._asked[key]
        others.remove(asked)
        if not others:
            del self._asked[key]

    def _give_up_row(self) -> None:
        """For lack of memory; an aggregate that it belongs to is not known any more."""
        row = self._forget_row()
        self.given_up += 1
        if self._over is not None:
            goes_anyway_us = row.known_us + 2 * self._horizon_us
            lost_us = min(row.event_us, goes_anyway_us)
            self._gone_until_us = max(self._gone_until_us, lost_us)

    def _forget_row(self) -> LabelRow:
        row = self._row_order.popleft()
        others = self._rows[row.key]
        others.remove(row)
        if not others:
            del self._rows[row.key]
        return row


def _outcome(
    asked: Asked,
    before: float | None,
    how: Literal["arrived", "missing"],
) -> Outcome:
    """That the label counts which a question has now."""
    return Outcome(
        asked=asked,
        label=asked.label,
        before=before,
        how=how if before is None else "revised",
    )
