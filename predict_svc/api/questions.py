"""Questions that come over Kafka: the same code, ids and events as over HTTP, many at a time."""

# What can be answered becomes its events, what cannot a dead letter. What must wait (no model yet,
# Kafka away) is raised as a TransientError: then nothing of the batch counts as handled, and a
# repeat gives the same ids.

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from predict_svc.api.base import Api, check_room, count_unjoinable, measured
from predict_svc.api.each_row import EachRow, numbered, renamed
from predict_svc.api.forms import body_of
from predict_svc.api.messages import NotReadyError, PredictBody, RequestError, check_count
from predict_svc.api.routing import answering_release, by_release
from predict_svc.view.errors import ViewNotReadyError
from schemas.events import PredictionServed
from twinstream.errors import MessageRefusedError, NotRunningError
from twinstream.protocol.predictions import asked_id, part_of

MOST_TOLD = 10
"""So many rows of a message are named in its dead letter."""


class QuestionAsked(msgspec.Struct, frozen=True):
    """A question and the message that brought it."""

    message: Any
    id: str
    body: PredictBody

    @property
    def alone(self) -> bool:
        """Whether it says something of its own, so that others cannot be answered with it."""
        body = self.body
        return bool(body.min_position) or not (body.at is None and body.max_staleness_ms is None)


class Questions:
    """Answers the questions of one model."""

    def __init__(
        self,
        api: Api,
        model: str,
        *,
        publish: Callable[[PredictionServed], None],
        refuse: Callable[[Any, str], None],
        most_rows: int,
    ) -> None:
        """`publish` raises MessageRefusedError; `refuse` makes a message a dead letter."""
        self._api, self._model, self._most_rows = api, model, most_rows
        self._publish, self._refuse = publish, refuse

    def handle(self, messages: Sequence[Any]) -> None:
        """Answers each message of confluent-kafka, or refuses it; raises TransientError when none
        can be now.
        """
        asked = [one for message in messages if (one := self._asked(message)) is not None]
        for group in groups(asked, self._most_rows):
            self._answer_each_release(group)

    def _answer_each_release(self, group: Sequence[QuestionAsked]) -> None:
        """No two releases answer together."""
        try:
            found = by_release(self._api, self._model, [one.body.rows for one in group])
        except NotReadyError as error:
            self._api.refresh()
            raise NotRunningError(str(error)) from error
        for _, numbers in found:
            self._answer([group[number] for number in numbers])

    def _asked(self, message: Any) -> QuestionAsked | None:
        most = self._api.predictor.max_rows
        try:
            body = body_of(message.value() or b"", self._api.body_bytes, most)
            check_count(len(body.rows), most)
        except RequestError as error:
            self._refuse(message, str(error))
            return None
        place = message.topic(), message.partition(), message.offset()
        return QuestionAsked(message, asked_id(*place), body)

    def _answer(self, group: Sequence[QuestionAsked]) -> None:
        try:
            self._serve(group)
        except (NotReadyError, ViewNotReadyError) as error:
            self._api.refresh()
            raise NotRunningError(str(error)) from error
        except RequestError as error:
            if len(group) > 1:
                raise
            self._refuse(group[0].message, str(error))

    def _serve(self, group: Sequence[QuestionAsked]) -> None:
        check_room(self._api)
        started = time.perf_counter()
        rows = [row for one in group for row in one.body.rows]
        body = msgspec.structs.replace(group[0].body, rows=rows)
        each = EachRow(self._api, answering_release(self._api, self._model, rows), body)
        parts = each.parts()
        events = [event for part in parts for event in numbered(part.events, part.numbers)]
        begin = 0
        for one in group:
            end = begin + len(one.body.rows)
            faults = [fault for row, fault in each.faults.items() if begin <= row < end]
            if not faults:
                self._send(one, of_rows(events, begin, end))
            elif len(group) > 1:
                self._answer([one])  # alone, its rows have their own numbers
            else:
                self._send_partly(one, events, faults)
            begin = end
        for part in parts:
            measured(self._api, self._model, started, part.answer.timing, len(part.numbers))
            count_unjoinable(self._api, self._model, part.answer.warnings)

    def _send_partly(
        self,
        one: QuestionAsked,
        events: Sequence[PredictionServed],
        faults: Sequence[RequestError],
    ) -> None:
        """The rows that fit, if each is asked for itself; the message is a dead letter."""
        if one.body.on_error == "row":
            self._send(one, events)
        told = "; ".join(str(fault) for fault in faults[:MOST_TOLD])
        more = f"; and {len(faults) - MOST_TOLD} more" if len(faults) > MOST_TOLD else ""
        self._refuse(one.message, told + more)

    def _send(self, one: QuestionAsked, events: Sequence[PredictionServed]) -> None:
        for event in events:
            try:
                self._publish(renamed(event, one.id))
            except MessageRefusedError as error:
                text = f"the question is too large to be remembered: {error}"
                self._refuse(one.message, text)
                return


def groups(asked: Sequence[QuestionAsked], most_rows: int) -> Iterator[list[QuestionAsked]]:
    """Questions that can be answered together, in their order; at most so many rows unless one has
    more.
    """
    group: list[QuestionAsked] = []
    rows = 0
    for one in asked:
        count = len(one.body.rows)
        if group and (one.alone or group[0].alone or rows + count > most_rows):
            yield group
            group, rows = [], 0
        group.append(one)
        rows += count
    if group:
        yield group


def of_rows(events: Sequence[PredictionServed], begin: int, end: int) -> list[PredictionServed]:
    """What the events hold of rows [begin, end), counted from `begin`."""
    found = []
    for event in events:
        first = max(begin, event.first_row)
        last = min(end, event.first_row + len(event.rows))
        if first < last:
            at = event.first_row
            found.append(part_of(event, first - at, last - at, first - begin))
    return found
