"""Every answer of a view by the naive way, written from `docs/definition.md` and `docs/algebra.md`:
list the values, then count.
"""

# It shares no line with the algebra: no tiles, no states, no slots, no kernel.
# Exact aggregates must agree but for the last bits of a float;
# sketches within what is documented of them.

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from twinstream.audit.meaning import holds, value
from twinstream.define.aggregates import Aggregate
from twinstream.define.fields.base import FieldType
from twinstream.define.view import Output, View

MINUTE_US, HOUR_US, DAY_US = 60_000_000, 3_600_000_000, 86_400_000_000
UNITS = {"s": 1_000_000, "m": MINUTE_US, "h": HOUR_US, "d": DAY_US, "w": 7 * DAY_US}
LAST_BITS, QUANTILE_ERROR, DISTINCT_ERROR = 1e-9, 0.0101, 0.12


class Row(NamedTuple):
    """A record that the view has seen, with its place in the order of ties."""

    record: dict[str, Any]
    position: int


class Question(NamedTuple):
    """What an answer may depend on besides the records."""

    fields: dict[str, FieldType]
    event_time: str
    at_us: int


class Answer(NamedTuple):
    """The numbers of one output (None: null), and how far off each may be."""

    numbers: list[float | None]
    off: float
    lost: float = 0.0
    """So much less may be given than is meant, whatever `off` says."""

    def agrees(self, served: Sequence[float]) -> bool:
        """Whether these are what a reader was given; NaN is null."""
        pairs = map(self._close, self.numbers, served)
        return len(served) == len(self.numbers) and all(pairs)

    def _close(self, wanted: float | None, given: float) -> bool:
        if wanted is None or math.isnan(given):
            return wanted is None and math.isnan(given)
        if 0 < given < wanted and wanted - given <= self.lost:
            return True
        return abs(wanted - given) <= self.off * max(abs(wanted), abs(given))


def answers(
    view: View,
    rows: Sequence[Row],
    at_us: int,
) -> dict[str, Answer]:
    """Every output of one key at a moment, from all records of the key."""
    exist = [row for row in rows if holds(view.where, row.record)]
    return {output.name: _answer(view, output, exist, at_us) for output in view.outputs}


def _answer(
    view: View,
    output: Output,
    rows: Sequence[Row],
    at_us: int,
) -> Answer:
    first, end = window(output.window, at_us)
    time = view.source.event_time
    inside = [row for row in rows if first is None or first <= row.record[time] < end]
    asked = Question(view.source.fields, time, at_us)
    return aggregated(output.feature.aggregate, inside, asked)


def aggregated(
    aggregate: Aggregate,
    rows: Sequence[Row],
    asked: Question,
) -> Answer:
    """What an aggregate of these records answers, whatever window they are of."""
    meant = [row for row in rows if holds(aggregate.where, row.record)]
    meant.sort(key=lambda row: (row.record[asked.event_time], row.position))
    return _KINDS[aggregate.kind](aggregate, meant, asked)


def window(name: str, at_us: int) -> tuple[int | None, int]:
    """From which moment on, and before which one, records are in a window: whole tiles. None:
    always.
    """
    if name == "all":
        return None, 0
    length = int(name[:-1]) * UNITS[name[-1]]
    tile = _tile(length)
    first = (at_us - length) // tile
    last = at_us // tile
    return first * tile, (last + 1) * tile


def _tile(length: int) -> int:
    if length < 12 * HOUR_US:
        return 5 * MINUTE_US
    if length < 12 * DAY_US:
        return HOUR_US
    return DAY_US


def _numbers(
    of: Aggregate,
    rows: Sequence[Row],
    asked: Question,
) -> list[Fraction]:
    """The values that are not null, in their own unit, oldest first."""
    assert of.field is not None
    unit = 10 ** asked.fields[of.field].places
    found = (row.record[of.field] for row in rows)
    return [Fraction(int(stored), unit) for stored in found if stored is not None]


def _one(number: Fraction | float | None, off: float = LAST_BITS) -> Answer:
    return Answer([None if number is None else float(number)], off)


def _count(
    of: Aggregate,
    rows: Sequence[Row],
    _: Question,
) -> Answer:
    counted = [of.field is None or row.record[of.field] is not None for row in rows]
    return _one(Fraction(sum(counted)))


def _sum(
    of: Aggregate,
    rows: Sequence[Row],
    asked: Question,
) -> Answer:
    values = _numbers(of, rows, asked)
    return _one(sum(values, Fraction(0)) if values else None)


def _mean(
    of: Aggregate,
    rows: Sequence[Row],
    asked: Question,
) -> Answer:
    values = _numbers(of, rows, asked)
    return _one(sum(values, Fraction(0)) / len(values) if values else None)


def _variance(
    of: Aggregate,
    rows: Sequence[Row],
    asked: Question,
) -> Answer:
    values = _numbers(of, rows, asked)
    if not values:
        return _one(None)
    squares = sum((v * v for v in values), Fraction(0))
    mean = sum(values, Fraction(0)) / len(values)
    spread = squares / len(values) - mean**2
    return _one(math.sqrt(spread) if of.kind == "std" else spread)


def _extreme(choose: Callable[[list[Fraction]], Fraction]) -> Any:
    def answer(
        of: Aggregate,
        rows: Sequence[Row],
        asked: Question,
    ) -> Answer:
        values = _numbers(of, rows, asked)
        return _one(choose(values) if values else None)

    return answer


def _last_k(
    of: Aggregate,
    rows: Sequence[Row],
    asked: Question,
) -> Answer:
    newest: list[float | None] = [float(v) for v in reversed(_numbers(of, rows, asked))]
    k = of.params["k"]
    return Answer([*newest, *[None] * k][:k], LAST_BITS)


def _share(
    of: Aggregate,
    rows: Sequence[Row],
    _: Question,
) -> Answer:
    found = [value(of.params["condition"], row.record) for row in rows]
    known = [condition for condition in found if condition is not None]
    return _one(Fraction(sum(map(bool, known)), len(known)) if known else None)


def _count_by(
    of: Aggregate,
    rows: Sequence[Row],
    _: Question,
) -> Answer:
    found = [row.record[str(of.field)] for row in rows]
    return Answer([float(found.count(category)) for category in of.params["categories"]], LAST_BITS)


def _quantile(
    of: Aggregate,
    rows: Sequence[Row],
    asked: Question,
) -> Answer:
    values = sorted(_numbers(of, rows, asked))
    rank = math.floor(Fraction(repr(of.params["q"])) * (len(values) - 1))
    return _one(values[rank] if values else None, QUANTILE_ERROR)


def _distinct(
    of: Aggregate,
    rows: Sequence[Row],
    _: Question,
) -> Answer:
    """An estimate by 4,096 registers: one of two values in the same register is not seen, which
    happens to one key in 4,096 that has two.
    """
    found = (row.record[str(of.field)] for row in rows)
    different = len({value for value in found if value is not None})
    lost = 1 + different / 10
    return Answer([float(different)], DISTINCT_ERROR, lost)


def _time_since_last(
    of: Aggregate,
    rows: Sequence[Row],
    asked: Question,
) -> Answer:
    times = [
        row.record[asked.event_time]
        for row in rows
        if of.field is None or row.record[of.field] is not None
    ]
    return _one(Fraction(asked.at_us - max(times), 1_000_000) if times else None)


def _any(
    of: Aggregate,
    rows: Sequence[Row],
    _: Question,
) -> Answer:
    condition = of.params["condition"]
    return _one(Fraction(any(condition is None or holds(condition, row.record) for row in rows)))


def _time_to_first(
    of: Aggregate,
    rows: Sequence[Row],
    asked: Question,
) -> Answer:
    times = [
        row.record[asked.event_time]
        for row in rows
        if of.field is None or row.record[of.field] is not None
    ]
    return _one(Fraction(min(times) - asked.at_us, 1_000_000) if times else None)


_KINDS: dict[str, Callable[[Aggregate, Sequence[Row], Question], Answer]] = {
    "count": _count,
    "sum": _sum,
    "mean": _mean,
    "variance": _variance,
    "std": _variance,
    "minimum": _extreme(min),
    "maximum": _extreme(max),
    "first": _extreme(lambda values: values[0]),
    "last": _extreme(lambda values: values[-1]),
    "last_k": _last_k,
    "share": _share,
    "count_by": _count_by,
    "quantile": _quantile,
    "distinct": _distinct,
    "time_since_last": _time_since_last,
    "any": _any,
    "time_to_first": _time_to_first,
}
