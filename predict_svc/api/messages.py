"""Bodies of requests and answers, and errors with their HTTP status."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, ClassVar, TypeVar

import msgspec

from schemas.events import ViewPosition
from twinstream.define import Timestamp
from twinstream.define.values import stored
from twinstream.errors import MeshError, RecordError
from twinstream.features.request import as_written

Offset = Annotated[int, msgspec.Meta(ge=-1, le=1 << 62)]
Body = TypeVar("Body")
Positions = dict[str, dict[Annotated[int, msgspec.Meta(ge=0, le=100_000)], Offset]]
"""Per source and partition a raw offset that must be contained."""


class RequestError(MeshError):
    """What a client gets to read, with a status."""

    status: ClassVar[int] = 400


class UnknownError(RequestError):
    """There is no such model, view or path."""

    status = 404


class ConflictError(RequestError):
    """The question is well formed, but what is kept cannot answer it."""

    status = 409


class TooLargeError(RequestError):
    """The question, or its event, is larger than is taken."""

    status = 413


class UnprocessableError(RequestError):
    """More keys, views or levels than one question may have."""

    status = 422


class NotReadyError(RequestError):
    """Not yet, or not at the moment."""

    status = 503


class ScoreError(RequestError):
    """The model's answer is not a number."""

    status = 500


class BehindError(RequestError):
    """The position asked for was not reached within the bound."""

    status = 504


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """How fresh an answer must be. `max_staleness_ms`: all that was in the raw topics so long ago must be contained."""

    min_position: Positions = {}
    """By source and partition a raw offset that must be contained, as `send` and ingest return it."""
    max_staleness_ms: Annotated[float, msgspec.Meta(ge=0, le=1e12)] | None = None
    """What was in the raw topics so many milliseconds ago must be contained."""


class PredictBody(Wish, frozen=True, kw_only=True):
    """Body of `POST /v1/predict/<model>`; `at` is RFC 3339 or UTC microseconds, for rows without a moment of their own."""

    rows: list[dict[str, Any]]
    """The questions: fields of the model's spine."""
    at: int | str | None = None
    """The moment of rows that have none of their own; not given: now."""


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds of a request's parts; requests that were answered together share them."""

    waited_ms: float
    """For the position or the freshness that was asked for."""
    views_ms: float
    """For the features."""
    model_ms: float
    """For the network."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """Answer of `POST /v1/predict/<model>`, a score for each row in order; row i is prediction `<id>-<i>`.

    `age_ms`: all that was in the raw topics so long ago is contained, in every view; null: it is longer than is remembered.
    """

    predictions: list[float]
    """A probability or a number for each row, in the order of the rows."""
    id: str
    """The request's; the prediction of row i is `<id>-<i>`."""
    release: str
    """Definition, epoch and model that answered."""
    position: dict[str, ViewPosition]
    """By view where it was read."""
    age_ms: float | None
    """What was in the raw topics so long ago is contained; null: longer ago than is remembered."""
    timing: Timing
    """Where the time went."""


Part = str | int | bool
"""A part of a key; a decimal or a moment as text."""


class ViewKeys(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is asked of one view."""

    keys: list[Part | list[Part]]
    """A list for a key of several fields, in the order of the view's `by`."""
    features: list[str] | None = None
    """Names of outputs; not given: all."""


class ViewBody(Wish, frozen=True, kw_only=True):
    """Body of `POST /v1/views/<view>`."""

    keys: list[Part | list[Part]]
    """A list for a key of several fields, in the order of the view's `by`."""
    features: list[str] | None = None
    """Names of outputs; not given: all."""
    at: int | str | None = None
    """The moment of the answer, RFC 3339 or UTC microseconds; not given: now."""


class ViewsBody(Wish, frozen=True, kw_only=True):
    """Body of `POST /v1/views`: several views at one moment."""

    views: dict[str, ViewKeys]
    """By the name of the view."""
    at: int | str | None = None
    """As in a `ViewBody`."""


class ViewRow(msgspec.Struct, frozen=True, kw_only=True):
    """The features of one key; a key that no record ever had gets counts of 0 and nulls."""

    key: Part | list[Part]
    """As it was asked for."""
    features: dict[str, Any]
    """By name. Counts are integers, decimals numbers with all their places, moments RFC 3339."""
    nulls: dict[str, str]
    """Why a feature is null, or has nulls: `no_value_in_window`, `no_record_in_window`,
    `fewer_values_than_asked`.
    """


class ViewRows(msgspec.Struct, frozen=True, kw_only=True):
    """Answer of `POST /v1/views/<view>`, a row for each key in order."""

    view: str
    """Its name."""
    at: datetime
    """The moment of the answer."""
    rows: list[ViewRow]
    """In the order of the keys."""
    position: ViewPosition | None
    """What every row has seen; null when no key was asked for."""
    age_ms: float | None
    """As in the answer of a prediction."""
    release: str
    """Definition and epoch."""


class ViewAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Answer of `GET /v1/views/<view>`; `key` is a list when the view is kept by several fields, `age_ms` as in `Answer`."""

    view: str
    """Its name."""
    key: str | list[str]
    """As it was asked for."""
    at: int
    """The moment of the answer, UTC microseconds."""
    features: dict[str, Any]
    """By name; null where there is no value. Types as in a `ViewRow`."""
    nulls: dict[str, str]
    """Why a feature is null, as in a `ViewRow`."""
    position: ViewPosition
    """Where it was read."""
    age_ms: float | None
    """As in the answer of a prediction."""
    release: str
    """Definition and epoch."""


_WHOLE = re.compile(r"-?[0-9]{1,19}")
_body = msgspec.json.Decoder(PredictBody)
_exact_body = msgspec.json.Decoder(PredictBody, float_hook=as_written)
_DIGITS = bytes.maketrans(b"123456789.E", b"0000000000e")
_positions = msgspec.json.Decoder(Positions)
_view_body = msgspec.json.Decoder(ViewBody)
_views_body = msgspec.json.Decoder(ViewsBody)
BAD = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ArithmeticError)


def predict_body(data: bytes) -> PredictBody:
    """Raises RequestError that says where the body does not fit."""
    try:
        return (_exact_body if _may_round(data) else _body).decode(data)
    except BAD as error:
        raise RequestError(f"the body does not fit: {error}") from error


def view_body(data: bytes) -> ViewBody:
    """Raises RequestError."""
    return _decoded(_view_body, data)


def views_body(data: bytes) -> ViewsBody:
    """Raises RequestError."""
    return _decoded(_views_body, data)


def _decoded(decoder: msgspec.json.Decoder[Body], data: bytes) -> Body:
    try:
        return decoder.decode(data)
    except BAD as error:
        raise RequestError(f"the body does not fit: {error}") from error


def _may_round(data: bytes) -> bool:
    """Whether there may be a number that a float does not hold as it is written: of more than 15 digits, or with an exponent."""
    digits = data.translate(_DIGITS)
    return b"0e" in digits or b"0" * 17 in digits


def positions(text: str) -> Positions:
    """`min_position` of a query; raises RequestError."""
    try:
        return _positions.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise RequestError(
            f'min_position is JSON like {{"orders": {{"0": 12}}}}: {error}'
        ) from error


def moment(at: int | str | None, otherwise_us: int) -> int:
    """UTC microseconds of `at`; raises RequestError."""
    if at is None:
        return otherwise_us
    try:
        return int(
            stored(Timestamp(), int(at) if isinstance(at, str) and _WHOLE.fullmatch(at) else at)
        )
    except RecordError as error:
        raise RequestError(f"at: {error}") from error
