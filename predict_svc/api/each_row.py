"""Answers each row for itself (`on_error: "row"`): one that does not fit costs no other."""

# A row keeps its number in the request: `<id>-<i>` is row i whatever became of the rows before it.

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, TypeVar

import msgspec

from predict_svc.api.base import Api, check_room, count_unjoinable, measured
from predict_svc.api.messages import (
    Answer,
    ConflictError,
    EachAnswer,
    PredictBody,
    RequestError,
    ScoreError,
    Timing,
    TooLargeError,
    check_count,
    moment,
    not_objects,
)
from predict_svc.api.routing import answering_release
from predict_svc.api.serving import Active
from predict_svc.api.unjoinable import warnings_of
from predict_svc.api.view_lookup import joined
from predict_svc.view.errors import ViewNotReadyError
from schemas.events import PredictionServed, ViewPosition
from twinstream.define.label import Label
from twinstream.errors import MessageRefusedError
from twinstream.mesh.problems import Problem, problem_of
from twinstream.protocol.predictions import part_of

Rows = Sequence[dict[str, Any]]
Named = TypeVar("Named", Answer, PredictionServed)


class RowsAnswered(msgspec.Struct, frozen=True):
    """Rows that were answered together: their numbers in the request, answer and events."""

    numbers: list[int]
    answer: Answer
    events: list[PredictionServed]


class EachRow:
    """One request to one release."""

    def __init__(self, api: Api, active: Active, body: PredictBody) -> None:
        """`body`: with the moment of rows that have none. Raises RequestError."""
        at_us = moment(body.at, api.clock.now_us())
        self._api, self._active = api, active
        self._body = msgspec.structs.replace(
            body,
            at=at_us,
            on_error="request",
        )
        self.faults: dict[int, RequestError] = {}
        self._note(body.rows, at_us)

    @property
    def release(self) -> str:
        """The name of what answers."""
        return self._active.name

    @property
    def label(self) -> Label:
        """The model's."""
        return self._active.form.model.label

    def parts(self) -> list[RowsAnswered]:
        """All rows that can be answered; `faults` has the others.

        Raises RequestError for what refuses the whole request.
        """
        numbers = [i for i in range(len(self._body.rows)) if i not in self.faults]
        found = list(self._answered(numbers))
        served = self._active.otherwise
        if served is not None and len({part.answer.release for part in found}) > 1:
            # a canary could answer some of the rows: a request is answered whole
            self._active = served
            found = list(self._answered(numbers))
        return found

    def publish(self, parts: Sequence[RowsAnswered]) -> None:
        """Sends the events; a row that fits no message becomes a fault."""
        for part in parts:
            for event in numbered(part.events, part.numbers):
                self._publish(event)

    def _note(self, rows: Rows, at_us: int) -> None:
        """What is wrong with the rows themselves."""
        self.faults |= {fault.row: RequestError.of_row(fault) for fault in not_objects(rows)}
        objects = [i for i in range(len(rows)) if i not in self.faults]
        given, form = [rows[i] for i in objects], self._active.form
        if self._active.quick.decode(given, at_us) is not None:
            return
        for found in (form.faults(given, at_us), form.unjoinable(given)):
            for fault in found:
                number = objects[fault.row]
                self.faults.setdefault(number, RequestError.of_row(fault.at(number)))

    def _answered(self, numbers: Sequence[int]) -> Iterator[RowsAnswered]:
        """What only some of the rows cause is found by halves."""
        if not numbers:
            return
        rows = [self._body.rows[i] for i in numbers]
        body = msgspec.structs.replace(
            self._body,
            rows=rows,
        )
        try:
            answer, events = self._api.predictor.predict(self._active, body)
        except (ConflictError, ScoreError) as error:
            if len(numbers) == 1:
                self.faults[numbers[0]] = error
                return
            half = len(numbers) // 2
            yield from self._answered(numbers[:half])
            yield from self._answered(numbers[half:])
        else:
            yield RowsAnswered(list(numbers), answer, events)

    def _publish(self, event: PredictionServed) -> None:
        try:
            self._api.publish(event)
        except MessageRefusedError as error:
            count = len(event.rows)
            if count == 1:
                text = f"row {event.first_row}: is too large to be remembered: {error}"
                self.faults[event.first_row] = TooLargeError(text)
                return
            for begin, end in ((0, count // 2), (count // 2, count)):
                first = event.first_row + begin
                self._publish(part_of(event, begin, end, first))


def predicted_each(api: Api, model: str, body: PredictBody) -> EachAnswer:
    """The answer of each row or its problem, counted, events on their way to Kafka."""
    check_room(api)
    check_count(len(body.rows), api.predictor.max_rows)
    started = time.perf_counter()
    try:
        each = EachRow(api, answering_release(api, model, body.rows), body)
        parts = each.parts()
    except ViewNotReadyError:  # as in `routes.predicted`
        api.refresh()
        each = EachRow(api, answering_release(api, model, body.rows), body)
        parts = each.parts()
    parts = of_one_request(parts)
    each.publish(parts)
    found = together(api, each.release, parts)
    for fault in each.faults.values():
        api.meter.count("predict_refused_total", 1, status=fault.status)
    measured(api, model, started, found.timing, len(body.rows) - len(each.faults))
    answered = [(i, row) for i, row in enumerate(body.rows) if i not in each.faults]
    warnings = warnings_of(each.label, answered)
    count_unjoinable(api, model, warnings)
    return msgspec.structs.replace(
        found,
        predictions=in_place(len(body.rows), parts, each.faults),
        warnings=warnings,
    )


def of_one_request(parts: Sequence[RowsAnswered]) -> list[RowsAnswered]:
    """The parts under the id of the first."""
    return [
        msgspec.structs.replace(
            part,
            answer=renamed(part.answer, parts[0].answer.id),
            events=[renamed(event, parts[0].answer.id) for event in part.events],
        )
        for part in parts
    ]


def renamed(one: Named, request: str) -> Named:
    """An answer or an event under another id."""
    return msgspec.structs.replace(one, id=request)


def together(api: Api, release: str, parts: Sequence[RowsAnswered]) -> EachAnswer:
    """What the parts' answers say beside their predictions."""
    answers = [part.answer for part in parts]
    seen: dict[str, ViewPosition] = {
        view: joined([answer.position[view] for answer in answers])
        for view in (answers[0].position if answers else ())
    }
    timings = [answer.timing for answer in answers]
    return EachAnswer(
        predictions=[],
        id=answers[0].id if answers else uuid.uuid4().hex,
        release=answers[0].release if answers else release,
        position=seen,
        age_ms=api.predictor.freshness.age_ms(seen) if answers else None,
        timing=Timing(
            waited_ms=sum(timing.waited_ms for timing in timings),
            views_ms=sum(timing.views_ms for timing in timings),
            model_ms=sum(timing.model_ms for timing in timings),
        ),
    )


def in_place(
    rows: int, parts: Sequence[RowsAnswered], faults: dict[int, RequestError]
) -> list[float | Problem]:
    """Of each row its prediction or its problem."""
    found: dict[int, float | Problem] = {
        number: score
        for part in parts
        for number, score in zip(part.numbers, part.answer.predictions, strict=True)
    }
    for number, fault in faults.items():
        place = msgspec.structs.replace(fault.place, row=number)
        found[number] = problem_of(
            fault.text,
            fault.status,
            place,
        )
    return [found[number] for number in range(rows)]


def numbered(
    events: Sequence[PredictionServed], numbers: Sequence[int]
) -> Iterator[PredictionServed]:
    """The events with their rows under the numbers that these have in the request.

    An event holds rows that follow each other, so one with a gap becomes several.
    """
    for event in events:
        given = numbers[event.first_row : event.first_row + len(event.rows)]
        for begin, end in unbroken(given):
            yield part_of(event, begin, end, given[begin])


def unbroken(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """[begin, end) of each run of rising numbers that follow each other.

    >>> list(unbroken([0, 1, 4, 5, 9]))
    [(0, 2), (2, 4), (4, 5)]
    """
    breaks = [i for i in range(1, len(numbers)) if numbers[i] != numbers[i - 1] + 1]
    yield from pairwise([0, *breaks, len(numbers)])
