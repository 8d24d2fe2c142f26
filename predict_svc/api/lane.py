"""The hot route past Flask: what `POST /v1/predict/<model>` answers there, it answers here, a few
rows in the event loop.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from predict_svc.api.answering import answered_in, body_in, predicted_together
from predict_svc.api.base import Api, told
from predict_svc.api.forms import is_other
from predict_svc.api.messages import PredictBody, predict_body
from predict_svc.api.routes import failure
from predict_svc.api.together import Together
from twinstream.define.quick_values import DoubtError
from twinstream.mesh.door import Answer, Found, Lane

log = structlog.get_logger()
PREFIX = "/v1/predict/"
FEW_ROWS = 16
"""So many are answered in about a millisecond."""


def lane(api: Api) -> Lane:
    """The lane below `PREFIX`."""
    together = Together(lambda model, bodies: answered_together(api, model, bodies))

    def take(model: str, data: bytes) -> Found:
        try:
            body = predict_body(data)
        except Exception as error:  # noqa: BLE001  (`failure` knows every kind)
            if is_other(data):
                return lambda: of_other_form(api, model, data)
            return failure(api, error, PREFIX + model)
        if not quick(body):
            return lambda: answered(api, model, body)
        if body.at is None and body.on_error == "request":
            return together.add(model, body)
        return answered(api, model, body)

    return take


def quick(body: PredictBody) -> bool:
    """Whether a request waits for nothing and is small."""
    return len(body.rows) <= FEW_ROWS and not body.min_position and body.max_staleness_ms is None


def answered_together(api: Api, model: str, bodies: Sequence[PredictBody]) -> list[Answer]:
    """An answer to each. One that cannot be answered with others is found by halves, so that it
    costs those a few attempts and not their company.
    """
    if len(bodies) == 1:
        return [answered(api, model, bodies[0])]
    try:
        return list(map(told, predicted_together(api, model, bodies)))
    except Exception as error:  # noqa: BLE001  (which request is to blame is found by halves)
        middle = len(bodies) // 2
        answers = answered_together(api, model, bodies[:middle])
        answers += answered_together(api, model, bodies[middle:])
        if len(bodies) == 2:
            _note_apart(api, model, answers, error)
        return answers


def _note_apart(api: Api, model: str, answers: Sequence[Answer], error: Exception) -> None:
    api.meter.count("predict_requests_apart_total", len(answers), model=model)
    if not isinstance(error, DoubtError) and all(answer.status == 200 for answer in answers):
        log.warning("requests_answered_apart", model=model, exc_info=error)


def of_other_form(api: Api, model: str, data: bytes) -> Answer:
    """The answer to columns, an Arrow stream or a packed body."""
    try:
        return answered(api, model, body_in(api, data))
    except Exception as error:  # noqa: BLE001  (`failure` knows every kind)
        return failure(api, error, PREFIX + model)


def answered(api: Api, model: str, body: PredictBody) -> Answer:
    """The answer, or what went wrong."""
    try:
        return told(*answered_in(api, model, body))
    except Exception as error:  # noqa: BLE001  (`failure` knows every kind)
        return failure(api, error, PREFIX + model)
