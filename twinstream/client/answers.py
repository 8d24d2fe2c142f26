"""What a client gets: typed, decoded once."""

from __future__ import annotations

from typing import Any

import msgspec

Offsets = dict[str, dict[int, int]]
"""Per source and partition a raw offset: what `min_position` takes, so that an answer contains
these records.
"""


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """Where a view was read: its epoch, and per partition the offsets in its log and in the raw
    topic.
    """

    epoch: int
    log: dict[int, int]
    raw: dict[int, int]


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds of the parts of a prediction."""

    waited_ms: float
    views_ms: float
    model_ms: float


class RowsWarning(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with `rows` rows that were answered all the same: they lack `field`; the first
    is row `row`.
    """

    field: str
    row: int
    rows: int
    detail: str


class Predictions(msgspec.Struct, frozen=True, kw_only=True):
    """A prediction for each row, in order. Row i can be rebuilt as `<id>-<i>`; `age_ms` None:
    older than is remembered.
    """

    predictions: list[float]
    id: str
    release: str
    position: dict[str, Position]
    age_ms: float | None
    timing: Timing
    warnings: list[RowsWarning] = []


class RowProblem(msgspec.Struct, frozen=True):
    """Why a row has no prediction, or a request no answer: of a problem (RFC 9457) what a client
    uses. `row` -1: none; texts are "" where not known.
    """

    status: int = 0
    title: str = ""
    detail: str = ""
    error: str = ""
    row: int = -1
    field: str = ""
    remedy: str = ""


class EachPredictions(msgspec.Struct, frozen=True, kw_only=True):
    """Of each row, in order, its prediction or its problem; the rest as in `Predictions`. Row i
    can be rebuilt as `<id>-<i>`.
    """

    predictions: list[float | RowProblem]
    id: str
    release: str
    position: dict[str, Position]
    age_ms: float | None
    timing: Timing
    warnings: list[RowsWarning] = []

    @property
    def problems(self) -> dict[int, RowProblem]:
        """By row, those that have no prediction."""
        found = enumerate(self.predictions)
        return {row: one for row, one in found if isinstance(one, RowProblem)}


class Features(msgspec.Struct, frozen=True, kw_only=True):
    """What a view says of one key at `at` (UTC microseconds); a feature without a value is None."""

    view: str
    key: str | list[str]
    at: int
    features: dict[str, Any]
    position: Position
    age_ms: float | None
    release: str


class FeatureRow(msgspec.Struct, frozen=True, kw_only=True):
    """What a view says of one key; `nulls` says why a feature has no value."""

    key: Any
    features: dict[str, Any]
    nulls: dict[str, str]


class FeatureRows(msgspec.Struct, frozen=True, kw_only=True):
    """A row for each key, in the order of the keys, all at `at` (RFC 3339) and at one position."""

    view: str
    at: str
    rows: list[FeatureRow]
    position: Position | None
    age_ms: float | None
    release: str


class Rejection(msgspec.Struct, frozen=True):
    """A record that was not taken: its place among those that were given, and why."""

    index: int
    reason: str


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What became of records. `rejected` names the first hundred of each part, `rejections`
    counts all.
    """

    accepted: int
    rejected: list[Rejection] = []
    position: Offsets = {}
    rejections: int = 0

    def and_then(self, later: Receipt, begin: int) -> Receipt:
        """With the receipt of a later part, whose first record was number `begin`."""
        rejected = [Rejection(begin + one.index, one.reason) for one in later.rejected]
        return Receipt(
            accepted=self.accepted + later.accepted,
            rejected=self.rejected + rejected,
            position=_joined(self.position, later.position),
            rejections=self.rejections + later.rejections,
        )


def _joined(
    first: dict[str, dict[int, int]],
    later: dict[str, dict[int, int]],
) -> dict[str, dict[int, int]]:
    """The later offset of each partition."""
    names = dict.fromkeys([*first, *later])
    return {name: {**first.get(name, {}), **later.get(name, {})} for name in names}


class RecordAnswer(msgspec.Struct, frozen=True):
    """A record that was taken, and the prediction that was asked for with it."""

    receipt: Receipt
    answer: Predictions


class Arrivals(msgspec.Struct, frozen=True):
    """So many files were announced; they are checked after that."""

    accepted: int


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """A series as it is now: a gauge's or a summary's newest value, a counter's sum since the
    monitor began to read.
    """

    name: str
    service: str
    labels: dict[str, str]
    kind: str
    unit: str
    value: float
    quantiles: dict[str, float]
    at_us: int


class Second(msgspec.Struct, frozen=True, kw_only=True):
    """What the monitor says each second, as far as `metrics` uses it."""

    metrics: list[Metric]
