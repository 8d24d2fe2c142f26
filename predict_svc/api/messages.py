"""Bodies of requests and answers, and errors with their HTTP status."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import msgspec

from predict_svc.api.unjoinable import AnswerWarning
from schemas.events import ViewPosition
from twinstream.define import Timestamp
from twinstream.define.fields.exact import expected
from twinstream.define.values import stored
from twinstream.errors import MeshError, Reason, RecordError
from twinstream.features.request import RowError, as_written
from twinstream.mesh.problems import NOWHERE, Place, Problem

Offset = Annotated[int, msgspec.Meta(ge=-1, le=1 << 62)]
Body = TypeVar("Body")
Positions = dict[str, dict[Annotated[int, msgspec.Meta(ge=0, le=100_000)], Offset]]
"""Per source and partition a raw offset that must be contained."""


class RequestError(MeshError):
    """What a client gets to read, with a status, and the place that is wrong."""

    status: ClassVar[int] = 400

    def __init__(self, text: str, place: Place = NOWHERE) -> None:
        super().__init__(f"{text}: {place.remedy}" if place.remedy else text)
        self.text, self.place = text, place

    @classmethod
    def of_row(cls, error: RowError) -> RequestError:
        """Of a row that does not fit."""
        return cls(str(error), Place(row=error.row, field=error.field))

    @classmethod
    def of_field(cls, field: str, what: object) -> RequestError:
        """Of a field of the body."""
        return cls(f"{field}: {what}", Place(field=field))


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
    """More rows, keys, views or levels than one question may have."""

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


OnError = Literal["request", "row"]


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
    on_error: OnError = "request"
    """Whether a row that does not fit refuses the `request`, or only its `row`."""


class AnyRowsBody(Wish, frozen=True, kw_only=True):
    """A body whose rows are not looked at yet."""

    rows: list[Any]
    at: int | str | None = None
    on_error: OnError = "request"


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds of a request's parts; requests that were answered together share them."""

    waited_ms: float
    """For the position or the freshness that was asked for."""
    views_ms: float
    """For the features."""
    model_ms: float
    """For the network."""


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
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
    warnings: list[AnswerWarning] = []
    """What is wrong with rows that were answered all the same; left out when there is none."""


class EachAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Answer of `POST /v1/predict/<model>` to a body with `"on_error": "row"`; as in an `Answer`,
    but a row that does not fit has its problem in the place of its prediction.
    """

    predictions: list[float | Problem]
    """Of each row its prediction or its problem, in the order of the rows."""
    id: str
    """The request's; the prediction of row i is `<id>-<i>`, also when rows before it have none."""
    release: str
    """Definition, epoch and model that answered."""
    position: dict[str, ViewPosition]
    """By view where it was read; empty when no row was answered."""
    age_ms: float | None
    """As in an `Answer`."""
    timing: Timing
    """Where the time went."""
    warnings: list[AnswerWarning] = []
    """As in an `Answer`, of the rows that have a prediction."""

    @property
    def status(self) -> int:
        """Of the answer: 207 when a row has a problem."""
        return 207 if any(isinstance(row, Problem) for row in self.predictions) else 200


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


DEEPEST = 64
"""Levels of lists and objects in one row; more than any field takes, and than an event may have."""
DEEP = Place(remedy=f"give at most {DEEPEST} levels")
_WHOLE = re.compile(r"-?[0-9]{1,19}")
_body = msgspec.json.Decoder(PredictBody)
_exact_body = msgspec.json.Decoder(PredictBody, float_hook=as_written)
_any_body = msgspec.json.Decoder(AnyRowsBody, float_hook=as_written)
_DIGITS = bytes.maketrans(b"123456789.E", b"0000000000e")
_positions = msgspec.json.Decoder(Positions)
_view_body = msgspec.json.Decoder(ViewBody)
_views_body = msgspec.json.Decoder(ViewsBody)
BAD = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ArithmeticError)


def predict_body(data: bytes) -> PredictBody:
    """Raises RequestError that says where the body does not fit."""
    try:
        body = (_exact_body if _may_round(data) else _body).decode(data)
    except msgspec.ValidationError as error:
        body = _of_any_rows(data, error)
    except BAD as error:
        raise misfit(error) from error
    if data.count(b"[") + data.count(b"{") > len(body.rows) + DEEPEST:
        check_depth(body.rows)
    return body


def _of_any_rows(data: bytes, why: msgspec.ValidationError) -> PredictBody:
    """A body whose rows may be anything, when each is answered alone; else raises RequestError."""
    try:
        body = _any_body.decode(data)
    except BAD:
        raise misfit(why) from why
    if body.on_error == "request":
        for fault in not_objects(body.rows):
            raise RequestError.of_row(fault)
    return PredictBody(
        rows=body.rows,
        at=body.at,
        on_error=body.on_error,
        min_position=body.min_position,
        max_staleness_ms=body.max_staleness_ms,
    )


def misfit(error: Exception) -> RequestError:
    """Of a body that cannot be decoded."""
    if isinstance(error, RecursionError):
        return UnprocessableError("the body is nested too deep", DEEP)
    return RequestError(f"the body does not fit: {error}")


def not_objects(rows: Sequence[Any]) -> Iterator[RowError]:
    """Rows that have no fields."""
    for i, row in enumerate(rows):
        if not isinstance(row, dict):
            yield RowError(i, Reason("", str(expected("a JSON object", row))))


def check_depth(rows: Sequence[Any]) -> None:
    """Raises UnprocessableError that names the first row with lists in lists beyond `DEEPEST`."""
    for i, row in enumerate(rows):
        level = [row]
        for _ in range(DEEPEST):
            level = [inner for value in level for inner in _inside(value)]
        if level:
            raise UnprocessableError(
                f"row {i} is nested more than {DEEPEST} levels deep",
                msgspec.structs.replace(DEEP, row=i),
            )


def _inside(value: Any) -> list[Any]:
    """The lists and objects in a value."""
    values = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [inner for inner in values if isinstance(inner, (dict, list))]


def check_count(rows: int, most: int) -> None:
    """Raises RequestError for a question without rows, UnprocessableError for one with too many."""
    place = Place(field="rows", remedy=f"give 1 to {most}")
    if not rows:
        raise RequestError("rows holds 0 rows", place)
    if rows > most:
        raise UnprocessableError(f"rows holds {rows} rows", place)


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
        raise misfit(error) from error


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
            f'min_position is JSON like {{"orders": {{"0": 12}}}}: {error}',
            Place(field="min_position"),
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
        raise RequestError.of_field("at", error) from error
