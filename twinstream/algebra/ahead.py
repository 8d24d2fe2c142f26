"""Aggregates over the records after each question, of (t, t + horizon]: what a label may be.

All questions at once; the monitor and the batch layer call the same function.
"""

# Rows that count lie sorted by (key, event time, place in the log). A question's window is a run of
# them, less the rows of its own record: one segment, or one more for each own row inside.
#
#   rows    k1 k1 k1 k1 k1 | k2 k2       window [lo, hi), own row at p:
#               lo     p  hi               segments [lo, p) and [p + 1, hi)
#
# Sums come from running totals, so that a window costs the same however many rows it holds.

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from twinstream.algebra.ahead_totals import (
    Bools,
    Floats,
    Longs,
    Segments,
    extremes_of,
    first_rows,
    last_rows,
    row_counts,
    totals_of,
)
from twinstream.algebra.columns import take
from twinstream.algebra.slots import Column, Take
from twinstream.define.aggregates import Aggregate
from twinstream.define.outcome import OutcomeAggregate

SECOND_US = 1e6
NOBODY = -1
ONES = {"any", "count", "time_to_first"}
"""Kinds that take a record as such, not a value of it."""


class RecordRows(NamedTuple):
    """Records: numbers of their join keys, event times, places in the order of ties, numbers of
    their ids, and what is aggregated of each; int64[rows].
    """

    key: Longs
    time: Longs
    position: Longs
    own: Longs
    value: Longs


class QuestionRows(NamedTuple):
    """Numbers of their join keys, their times, and the numbers of their own records' ids (NOBODY:
    none); int64[n].
    """

    key: Longs
    at: Longs
    own: Longs


class Windows(NamedTuple):
    """Of each question the run [lo, hi) of sorted rows."""

    lo: Longs
    hi: Longs


def taken(
    aggregate: Aggregate,
    batch: pa.RecordBatch,
) -> tuple[Longs, Bools]:
    """(value, whether it counts) of each record of a batch, both [rows]."""
    values, counts = take([_column(aggregate)], batch)
    return values[0], counts[0]


def _column(of: Aggregate) -> Column:
    condition = of.params.get("condition")
    if condition is not None:
        return Column.make(Take.VALUE, condition, of.where)
    wanted = Take.ONE if of.kind in ONES else Take.VALUE
    return Column.make(wanted, of.field, of.where)


def answers(
    outcome: OutcomeAggregate,
    rows: RecordRows,
    asked: QuestionRows,
    horizon_us: int,
) -> Floats:
    """float64[n], NaN for null: the aggregate, not compared, for each question.

    `rows`: those that count, in any order.
    """
    if not len(asked.at):
        return np.zeros(0)
    rows = _sorted(rows)
    windows = _windows(rows, asked, horizon_us)
    segments = _without_own(rows, asked, windows)
    return _answers(outcome, rows, asked, segments)


def _sorted(rows: RecordRows) -> RecordRows:
    order = np.lexsort((rows.position, rows.time, rows.key))
    return RecordRows(*(column[order] for column in rows))


def _windows(
    rows: RecordRows,
    asked: QuestionRows,
    horizon_us: int,
) -> Windows:
    """What lies after a question's time, up to and with the end of its horizon."""
    times = np.unique(rows.time)
    span = len(times) + 1
    ranks = rows.key * span + np.searchsorted(times, rows.time)

    def rows_until(us: Longs) -> Longs:
        wanted = asked.key * span
        wanted += np.searchsorted(times, us, side="right")
        return np.searchsorted(ranks, wanted, side="left")

    return Windows(
        lo=rows_until(asked.at),
        hi=rows_until(asked.at + horizon_us),
    )


def _without_own(
    rows: RecordRows,
    asked: QuestionRows,
    windows: Windows,
) -> Segments:
    """The windows, cut where rows of the questions' own records lie.

    The i-th start of a question and its i-th end, in the order of rows, are one segment.
    """
    question, row = _own_rows(rows, asked)
    lo, hi = windows.lo[question], windows.hi[question]
    inside = (lo <= row) & (row < hi)
    question, row = question[inside], row[inside]
    each = np.arange(len(windows.lo))
    of = np.concatenate([each, question])
    starts = np.concatenate([windows.lo, row + 1])
    ends = np.concatenate([windows.hi, row])
    return Segments(
        start=starts[np.lexsort((starts, of))],
        end=ends[np.lexsort((ends, of))],
        first=np.searchsorted(np.sort(of), each),
    )


def _own_rows(
    rows: RecordRows,
    asked: QuestionRows,
) -> tuple[Longs, Longs]:
    """(question, row) for every row that has the id of the question's own record."""
    order = np.argsort(rows.own, kind="stable")
    by_id = rows.own[order]
    begin = np.searchsorted(by_id, asked.own, side="left")
    end = np.searchsorted(by_id, asked.own, side="right")
    found = np.where(asked.own == NOBODY, 0, end - begin)
    question = np.repeat(np.arange(len(found)), found)
    before = np.cumsum(found) - found
    nth = np.arange(len(question)) - before[question]
    return question, order[begin[question] + nth]


def _answers(
    outcome: OutcomeAggregate,
    rows: RecordRows,
    asked: QuestionRows,
    of: Segments,
) -> Floats:
    kind = outcome.aggregate.kind
    count = row_counts(of)
    if kind == "count":
        return count.astype(np.float64)
    if kind == "any":
        return (totals_of(rows.value, of) > 0).astype(np.float64)
    if kind == "time_to_first":
        time = _at(rows.time, first_rows(of))
        return _unless_none((time - asked.at) / SECOND_US, count)
    unit = float(10**outcome.places)
    per_row = kind in {"mean", "share"}
    below = unit * np.maximum(count, 1) if per_row else unit
    found = _values(kind, rows.value, of)
    return _unless_none(found / below, count)


def _values(
    kind: str,
    values: Longs,
    of: Segments,
) -> Floats:
    """What the kind is of the stored integers; where a question has no rows it has no meaning."""
    if kind in {"sum", "mean", "share"}:
        return totals_of(values, of)
    if kind in {"minimum", "maximum"}:
        found = extremes_of(values, of, least=kind == "minimum")
    else:
        found = _at(values, last_rows(of) if kind == "last" else first_rows(of))
    return found.astype(np.float64)


def _unless_none(
    values: Floats,
    count: Longs,
) -> Floats:
    """NaN where no row counts."""
    return np.where(count > 0, values, np.nan)


def _at(
    values: Longs,
    row: Longs,
) -> Longs:
    """What lies in these rows; 0 at NOBODY."""
    return np.append(values, 0)[row]
