"""The labels of many questions from all records of their label's source: the latest record's value,
or an aggregate over the time after each question.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from preprocess_svc.batch.history.rows import POSITION, one_batch
from twinstream.algebra import ahead
from twinstream.algebra.columns import integers
from twinstream.define import Expr, Label, Model
from twinstream.define.outcome import OutcomeAggregate
from twinstream.define.record_keys import key_text
from twinstream.protocol.outcomes import latest_us

Longs = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


class Labels(NamedTuple):
    """Of each question: its label (NaN: none, which leaves it out), whether a record of its outcome
    is known, and whether it has its join key; [n].
    """

    label: Floats
    known: Bools
    joins: Bools


class Codes(NamedTuple):
    """Numbers of one key's values: equal for equal values of a question and a record; int64.

    -1 where a question's has a null, -2 where a record's has one.
    """

    asked: Longs
    records: Longs


def labels_of(
    model: Model,
    asked: pa.Table,
    outcomes: pa.Table,
) -> Labels:
    """Labels by all records that are given, whether or not they are settled."""
    label = model.label
    join = _codes(asked, outcomes, label.on)
    if isinstance(label.value, OutcomeAggregate):
        answers = _aggregated(model, label.value, asked, outcomes, join)
        known = ~np.isnan(answers)
    else:
        row = _latest(label, integers(asked[model.at]), outcomes, join)
        answers = _values(label.value, outcomes)[row]
        known = row >= 0
    missing = np.nan if label.missing is None else label.missing
    filled = np.where(np.isnan(answers), missing, answers)
    return Labels(label=filled, known=known, joins=join.asked >= 0)


def _aggregated(
    model: Model,
    value: OutcomeAggregate,
    asked: pa.Table,
    outcomes: pa.Table,
    join: Codes,
) -> Floats:
    """What the label's aggregate is worth for each question, NaN for null."""
    own = _own_codes(model, asked, outcomes)
    rows = ahead.QuestionRows(
        key=join.asked,
        at=integers(asked[model.at]),
        own=own.asked,
    )
    records = _records(model.label, value, outcomes, join, own)
    answers = ahead.answers(value, records, rows, model.label.horizon_us)
    return value.labels(answers)


def _records(
    label: Label,
    value: OutcomeAggregate,
    outcomes: pa.Table,
    join: Codes,
    own: Codes,
) -> ahead.RecordRows:
    """Those that count for the aggregate."""
    values, counts = ahead.taken(value.aggregate, one_batch(outcomes))
    return ahead.RecordRows(
        key=join.records[counts],
        time=integers(outcomes[label.source.event_time])[counts],
        position=integers(outcomes[POSITION])[counts],
        own=own.records[counts],
        value=values[counts],
    )


def _own_codes(
    model: Model,
    asked: pa.Table,
    outcomes: pa.Table,
) -> Codes:
    """Of the ids of questions and records, where a record may be a question's own."""
    if model.own_records:
        return _codes(asked, outcomes, model.spine.id_fields)
    return Codes(
        asked=np.full(asked.num_rows, ahead.NOBODY),
        records=np.full(outcomes.num_rows, ahead.NOBODY),
    )


def _latest(
    label: Label,
    at: Longs,
    outcomes: pa.Table,
    join: Codes,
) -> Longs:
    """For each question the row of its outcome: the latest by (event time, position) within the
    horizon; -1: none.
    """
    if not outcomes.num_rows or not len(at):
        return np.full(len(at), -1, np.int64)
    time = integers(outcomes[label.source.event_time])
    row, there = _latest_until(latest_us(at, label.horizon_us), time, outcomes, join)
    mine = (join.asked >= 0) & (join.records[row] == join.asked)
    fits = there & mine & (time[row] >= at)
    return np.where(fits, row, -1)


def _latest_until(
    until: Longs,
    time: Longs,
    outcomes: pa.Table,
    join: Codes,
) -> tuple[Longs, Bools]:
    """Of each question the latest row of its key or of one before it, and whether there is one."""
    order = np.lexsort((integers(outcomes[POSITION]), time, join.records))
    by_key = Codes(join.asked, join.records[order])
    last = _last_until(by_key, until, time[order])
    return order[np.maximum(last, 0)], last >= 0


def _values(
    value: Expr,
    outcomes: pa.Table,
) -> Floats:
    """Values of the outcomes, NaN for null; at the end, so at -1, that of none."""
    given = value.floats(outcomes) if outcomes.num_rows else np.zeros(0)
    return np.append(given, np.nan)


def _last_until(
    codes: Codes,
    until: Longs,
    time: Longs,
) -> Longs:
    """For each (code, moment) the place of the last row, of rows sorted by (code, time), that is
    not beyond it; it may be another code's. -1: none.
    """
    moments = np.unique(time)
    span = len(moments) + 1
    ranks = codes.records * span + np.searchsorted(moments, time)
    wanted = codes.asked * span + np.searchsorted(moments, until, side="right")
    return np.searchsorted(ranks, wanted, side="left") - 1


def _codes(
    asked: pa.Table,
    outcomes: pa.Table,
    on: tuple[str, ...],
) -> Codes:
    """Of the values of these fields on both sides."""
    keys = [key_text(one_batch(table), on) for table in (asked, outcomes)]
    ours, theirs = np.split(_encoded(keys), [len(keys[0])])
    return Codes(asked=ours, records=np.where(theirs < 0, -2, theirs))


def _encoded(keys: list[pa.Array]) -> Longs:
    """A number for each text, -1 for null."""
    encoded = pa.chunked_array(keys).combine_chunks().dictionary_encode()
    codes: Longs = encoded.indices.fill_null(-1).to_numpy().astype(np.int64)
    return codes
