"""What every way of asking for predictions calls: the answer to a body, its events on their way."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from predict_svc.api.base import Api, check_room, count_unjoinable, measured
from predict_svc.api.each_row import predicted_each
from predict_svc.api.forms import body_of
from predict_svc.api.messages import Answer, EachAnswer, PredictBody, TooLargeError
from predict_svc.api.predictor import Together
from predict_svc.api.routing import answering_release, by_release
from predict_svc.api.serving import Active
from predict_svc.view.errors import ViewNotReadyError
from schemas.events import PredictionServed
from twinstream.errors import MessageRefusedError

Choose = Callable[[Api, str, Sequence[Any]], Active]


def body_in(api: Api, data: bytes) -> PredictBody:
    """A body in any of its forms."""
    return body_of(data, api.body_bytes, api.predictor.max_rows)


def answered_in(api: Api, model: str, body: PredictBody) -> tuple[Answer | EachAnswer, int]:
    """The answer in the form that the body asks for, and its status: 207 with a row's problem."""
    if body.on_error == "request":
        return predicted(api, model, body), 200
    found = predicted_each(api, model, body)
    return found, found.status


def predicted(
    api: Api, model: str, body: PredictBody, choose: Choose = answering_release
) -> Answer:
    """The answer to a body, counted, its events on their way to Kafka. `choose`: the release."""
    check_room(api)
    started = time.perf_counter()
    try:
        found, events = api.predictor.predict(choose(api, model, body.rows), body)
    except ViewNotReadyError:
        # the base of this release was let go between the two: take the release that is there now
        api.refresh()
        found, events = api.predictor.predict(choose(api, model, body.rows), body)
    _publish(api, events)
    measured(api, model, started, found.timing, len(found.predictions))
    count_unjoinable(api, model, found.warnings)
    return found


def predicted_together(api: Api, model: str, bodies: Sequence[PredictBody]) -> list[Answer]:
    """The answers to small requests that ask for no position, counted, their event on its way to
    Kafka; raises DoubtError and all that `predicted` does when they have to be answered alone.
    """
    check_room(api)
    started = time.perf_counter()
    answers, events = _by_release(api, model, bodies)
    _publish(api, events)
    ms = (time.perf_counter() - started) * 1000
    requests = len(answers)
    rows = sum(len(body.rows) for body in bodies)
    api.meter.observe_all("predict_answer_ms", [ms] * requests, "ms", model=model)
    api.meter.observe_all("predict_waited_ms", [0.0] * requests, "ms", model=model)
    api.meter.count("predict_rows_total", rows, model=model)
    for answer in answers:
        count_unjoinable(api, model, answer.warnings)
    return answers


def _by_release(api: Api, model: str, bodies: Sequence[PredictBody]) -> Together:
    """The answers in the order of the bodies; each release answers its own together."""
    answers: dict[int, Answer] = {}
    events: list[PredictionServed] = []
    for active, numbers in by_release(api, model, [body.rows for body in bodies]):
        own = [bodies[number] for number in numbers]
        found, told = api.predictor.predict_together(active, own)
        answers |= dict(zip(numbers, found, strict=True))
        events += told
    return [answers[number] for number in range(len(bodies))], events


def _publish(api: Api, events: Sequence[PredictionServed]) -> None:
    """No answer without its events: a question of which nothing could be remembered is refused."""
    try:
        for event in events:
            api.publish(event)
    except MessageRefusedError as error:
        raise TooLargeError(f"the question is too large to be remembered: {error}") from error
