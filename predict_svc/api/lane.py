"""The hot route past Flask: what `POST /v1/predict/<model>` answers there, it answers here, a few rows at once in the event loop."""

from __future__ import annotations

from collections.abc import Callable

from predict_svc.api.base import Api, told
from predict_svc.api.forms import is_other
from predict_svc.api.messages import PredictBody, predict_body
from predict_svc.api.routes import body_in, failure, predicted
from twinstream.mesh.door import Answer, Lane

PREFIX = "/v1/predict/"
FEW_ROWS = 16
"""So many are answered in about a millisecond."""


def lane(api: Api) -> Lane:
    """The lane below `PREFIX`."""

    def take(model: str, data: bytes) -> Answer | Callable[[], Answer]:
        try:
            body = predict_body(data)
        except Exception as error:  # noqa: BLE001  (`failure` knows every kind)
            if is_other(data):
                return lambda: of_other_form(api, model, data)
            return failure(api, error, PREFIX + model)
        if quick(body):
            return answered(api, model, body)
        return lambda: answered(api, model, body)

    return take


def quick(body: PredictBody) -> bool:
    """Whether a request waits for nothing and is small."""
    return len(body.rows) <= FEW_ROWS and not body.min_position and body.max_staleness_ms is None


def of_other_form(api: Api, model: str, data: bytes) -> Answer:
    """The answer to columns, an Arrow stream or a packed body."""
    try:
        return answered(api, model, body_in(api, data))
    except Exception as error:  # noqa: BLE001  (`failure` knows every kind)
        return failure(api, error, PREFIX + model)


def answered(api: Api, model: str, body: PredictBody) -> Answer:
    """The answer, or what went wrong."""
    try:
        return told(predicted(api, model, body))
    except Exception as error:  # noqa: BLE001  (`failure` knows every kind)
        return failure(api, error, PREFIX + model)
