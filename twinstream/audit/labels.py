"""The label of one question by the naive way, written from `docs/definition.md`: look at every
record, list those that belong to it, then count.
"""

# It shares no line with the join of the batch layer or of the monitor: no codes, no running totals.

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from twinstream.audit.meaning import value
from twinstream.audit.plain import Question, Row, aggregated
from twinstream.define.comparison import OPERATORS
from twinstream.define.outcome import OutcomeAggregate

if TYPE_CHECKING:
    from twinstream.define import Label, Model

Record = Mapping[str, Any]
Worth = Fraction | float | bool | None


def label_of_question(
    model: Model,
    asked: Record,
    rows: Sequence[Row],
    as_of_us: int,
) -> float | None:
    """The label of a record of the spine, by the records of the label's source that were known at
    `as_of_us`; None: it has none, or is left out.
    """
    label, at_us = model.label, asked[model.at]
    key = [asked[name] for name in label.on]
    mine = [row for row in rows if _values(row.record, label.on) == key]
    passed = at_us + label.horizon_us < as_of_us
    settled = passed or _settled_at_once(label, at_us, mine)
    if None in key or not settled:
        return None
    worth = _worth(model, asked, mine)
    return label.missing if worth is None else float(worth)


def _worth(
    model: Model,
    asked: Record,
    rows: Sequence[Row],
) -> Worth:
    """By the records of a question's key."""
    wanted = model.label.value
    if isinstance(wanted, OutcomeAggregate):
        return _aggregate(model, wanted, asked, rows)
    return _of_latest(model.label, asked[model.at], rows)


def _values(record: Record, names: Sequence[str]) -> list[Any]:
    return [record[name] for name in names]


def _settled_at_once(
    label: Label,
    at_us: int,
    rows: Sequence[Row],
) -> bool:
    return label.settles == "at once" and _latest(label, at_us, rows) is not None


def _of_latest(
    label: Label,
    at_us: int,
    rows: Sequence[Row],
) -> Worth:
    assert not isinstance(label.value, OutcomeAggregate)
    latest = _latest(label, at_us, rows)
    if latest is None:
        return None
    found: Worth = value(label.value, latest.record)
    return found


def _latest(
    label: Label,
    at_us: int,
    rows: Sequence[Row],
) -> Row | None:
    """The latest from the question on, both ends of the horizon included."""
    time = label.source.event_time
    last_us = at_us + label.horizon_us
    within = [row for row in rows if at_us <= row.record[time] <= last_us]
    in_order = sorted(within, key=lambda row: (row.record[time], row.position))
    return in_order[-1] if in_order else None


def _aggregate(
    model: Model,
    wanted: OutcomeAggregate,
    asked: Record,
    rows: Sequence[Row],
) -> Worth:
    """Over what comes after the question, its own record left out."""
    label, at_us = model.label, asked[model.at]
    question = Question(label.source.fields, label.source.event_time, at_us)
    after = _after(model, asked, rows)
    (number,) = aggregated(wanted.aggregate, after, question).numbers
    if number is None or wanted.op is None:
        return number
    return bool(OPERATORS[wanted.op](number, wanted.bound))


def _after(
    model: Model,
    asked: Record,
    rows: Sequence[Row],
) -> list[Row]:
    """What comes within the horizon, without the question's own record."""
    label, at_us = model.label, asked[model.at]
    time, ids = label.source.event_time, label.source.id_fields
    last_us = at_us + label.horizon_us
    after = [row for row in rows if at_us < row.record[time] <= last_us]
    if model.spine.name != label.source.name:
        return after
    own = _values(asked, ids)
    return [row for row in after if _values(row.record, ids) != own]
