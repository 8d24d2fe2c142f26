"""Joins predictions and the labels that come later: late, missing or corrected ones too,
in bounded memory.
"""

# A prediction waits until its horizon has passed, whatever is known of it before;
# then its label counts. It is kept for one more horizon, in which a late label still revises it.

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Hashable
from typing import Literal

import msgspec

from twinstream.define.label import Label
from twinstream.protocol.known_time import EARLIEST_US
from twinstream.protocol.outcomes import horizon_passed, label_of, latest_us, within_horizon


class Asked(msgspec.Struct, kw_only=True, eq=False):
    """One prediction that waits for its label, or has it: `label` is what its records say by now,
    and counts only when the question is settled.
    """

    model: str
    release: str
    model_digest: str
    at_us: int
    score: float
    label: float | None = None
    label_event_us: int | None = None
    expired: bool = False
    unjudged: bool = False
    """Its outcome may lie where this service does not read."""


class LabelRow(msgspec.Struct, frozen=True, kw_only=True):
    """One record of a label's source; `outcome` is NaN when the label's value is null."""

    key: Hashable
    event_us: int
    known_us: int
    outcome: float


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """A prediction's label became known, or changed: `before` is what counted until now;
    `label` None leaves it out again.
    """

    asked: Asked
    label: float | None
    before: float | None
    how: Literal["arrived", "missing", "revised"]


class Joiner:
    """Joins the predictions of one model to its label.

    The label of a prediction asked at t is the outcome of the record with the same key whose event
    time lies in [t, t + horizon], of several the latest by event time, of equal ones the latest in
    the log; `missing` when there is none or its outcome is null. It counts by the rule of
    `protocol.outcomes.labelled`. `advance` tells how far time has come.
    """

    def __init__(self, label: Label, max_kept: int = 1_000_000) -> None:
        self._horizon_us, self._missing, self._max_kept = label.horizon_us, label.missing, max_kept
        self._at_once = label.at_once
        self._asked: dict[Hashable, list[Asked]] = {}
        self._due: list[tuple[int, int, Hashable, Asked, bool]] = []
        self._rows: dict[Hashable, list[LabelRow]] = {}
        self._row_order: deque[LabelRow] = deque()
        self._number = 0
        self.pending = 0
        self.given_up = 0
        self.unjudged = 0
        """Questions that came due while their outcome may have lain in an unread file."""
        self.unread_until_us = EARLIEST_US
        """Records up to here may be where this service does not read: none here says nothing."""

    def ask(self, key: Hashable, asked: Asked, due_from_us: int) -> list[Outcome]:
        """Take a prediction; its horizon runs from `due_from_us` (or from its own time,
        if that is later).
        """
        self._asked.setdefault(key, []).append(asked)
        self._push(
            latest_us(max(asked.at_us, due_from_us), self._horizon_us), key, asked, expired=False
        )
        self.pending += 1
        self._bound()
        return [outcome for row in self._rows.get(key, ()) for outcome in self._apply(asked, row)]

    def label(self, row: LabelRow) -> list[Outcome]:
        """Take a label record, in the order of its log."""
        self._rows.setdefault(row.key, []).append(row)
        self._row_order.append(row)
        if len(self._row_order) > self._max_kept:
            self._forget_row()
            self.given_up += 1
        return [
            outcome for asked in self._asked.get(row.key, ()) for outcome in self._apply(asked, row)
        ]

    def advance(self, known_us: int) -> list[Outcome]:
        """Everything known up to `known_us` was given: questions whose horizon has passed are
        labelled; what is past use is forgotten.
        """
        found: list[Outcome] = []
        while self._due and horizon_passed(self._due[0][0], known_us):
            due_us, _, key, asked, expired = heapq.heappop(self._due)
            if expired:
                self._forget(key, asked)
            else:
                found += self._expire(asked)
                self._push(due_us + self._horizon_us, key, asked, expired=True)
        while self._row_order and self._row_order[0].known_us < known_us - 2 * self._horizon_us:
            self._forget_row()
        return found

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

        Where no record means a label too, those with one here are more often of one outcome.
        """
        asked.unjudged = self._missing is not None and asked.at_us <= self.unread_until_us
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

    def _push(self, due_us: int, key: Hashable, asked: Asked, *, expired: bool) -> None:
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

    def _forget_row(self) -> None:
        row = self._row_order.popleft()
        others = self._rows[row.key]
        others.remove(row)
        if not others:
            del self._rows[row.key]


def _outcome(asked: Asked, before: float | None, how: Literal["arrived", "missing"]) -> Outcome:
    """That the label counts which a question has now."""
    return Outcome(
        asked=asked, label=asked.label, before=before, how=how if before is None else "revised"
    )
