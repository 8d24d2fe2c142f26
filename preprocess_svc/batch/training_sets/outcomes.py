"""Joins the outcomes that were known by the cut to the questions of the spine."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from preprocess_svc.batch.history.rows import POSITION, one_batch
from preprocess_svc.batch.training_sets.questions import ROW, QuestionColumns
from twinstream.define import Model
from twinstream.define.record_keys import key_text
from twinstream.protocol.outcomes import labelled, latest_us
from twinstream.protocol.training_columns import AT, ID, LABEL

Longs = npt.NDArray[np.int64]


class Outcomes:
    """Runs in Spark's Python workers, on all questions and all outcomes of some `on` keys.

    A question is in when it has its label at `as_of_us`: the rule is `protocol.outcomes.labelled`.
    Its columns: `_row` (the spine record's position), `_at_us`, `_id`, the spine's fields that the
    model or the keys of its views need, the derived inputs, `_label`.
    """

    def __init__(self, model: Model, as_of_us: int) -> None:
        self._model = model
        self._as_of_us = as_of_us
        self._columns = QuestionColumns(model)
        self.spine_fields = _spine_fields(model, self._columns.needed)
        self.label_fields = _label_fields(model)

    @property
    def schema(self) -> pa.Schema:
        """Of a question with its outcome."""
        return pa.schema(
            [
                pa.field(ROW, pa.int64()),
                pa.field(AT, pa.int64()),
                pa.field(ID, pa.string()),
                *self._columns.fields,
                pa.field(LABEL, pa.float64()),
            ]
        )

    def __call__(self, asked: pa.Table, outcomes: pa.Table) -> pa.Table:
        asked = asked.combine_chunks()
        outcomes = outcomes.combine_chunks()
        at = asked[self._model.at].to_numpy()
        found = self._latest(asked, at, outcomes)
        label = self._labels(outcomes, found)
        settled = labelled(self._model.label, at, found >= 0, self._as_of_us)
        keep = pa.array(settled & ~np.isnan(label))
        return self._questions(asked, label).filter(keep)

    def _questions(self, asked: pa.Table, label: npt.NDArray[np.float64]) -> pa.Table:
        model = self._model
        columns = [
            asked[POSITION],
            asked[model.at],
            key_text(one_batch(asked), model.spine.id_fields),
            *self._columns.of(asked),
            pa.array(label),
        ]
        return pa.Table.from_arrays(columns, schema=self.schema)

    def _latest(
        self,
        asked: pa.Table,
        at: Longs,
        outcomes: pa.Table,
    ) -> Longs:
        """For each question the row of its outcome: the latest by (event time, position) within the
        horizon; -1: none.
        """
        label = self._model.label
        if not outcomes.num_rows or not asked.num_rows:
            return np.full(asked.num_rows, -1, np.int64)
        mine, theirs = _codes(asked, outcomes, label.on)
        time = outcomes[label.source.event_time].to_numpy()
        position = outcomes[POSITION].to_numpy()
        order = np.lexsort((position, time, theirs))
        until = latest_us(at, label.horizon_us)
        last = _last_until(mine, until, theirs[order], time[order])
        row = order[np.maximum(last, 0)]
        fits = (last >= 0) & (mine >= 0) & (theirs[row] == mine) & (time[row] >= at)
        return np.where(fits, row, -1)

    def _labels(self, outcomes: pa.Table, found: Longs) -> npt.NDArray[np.float64]:
        """Values of the outcomes, `missing` where there is none or its value is null,
        NaN where that leaves the row out.
        """
        meant = self._model.label
        missing = np.nan if meant.missing is None else meant.missing
        values = np.zeros(0)
        if outcomes.num_rows:
            values = meant.value.floats(outcomes)
        label = np.append(values, np.nan)[found]
        return np.where(np.isnan(label), missing, label)


def _spine_fields(model: Model, needed: set[str]) -> list[str]:
    """Fields of the spine that the join reads."""
    wanted = {*needed, *model.spine.id_fields, *model.label.on}
    return [name for name in model.spine.names if name in wanted]


def _label_fields(model: Model) -> list[str]:
    """Fields of the outcomes that the join reads."""
    label = model.label
    wanted = {label.source.event_time, *label.on, *label.value.fields()}
    return [name for name in label.source.names if name in wanted]


def _last_until(
    codes: Longs,
    until: Longs,
    of_rows: Longs,
    time: Longs,
) -> Longs:
    """For each (code, moment) the place of the last row, of rows sorted by (code, time), that is
    not beyond it; it may be another code's. -1: none.
    """
    moments = np.unique(time)
    span = len(moments) + 1
    ranks = of_rows * span + np.searchsorted(moments, time)
    wanted = codes * span + np.searchsorted(moments, until, side="right")
    return np.searchsorted(ranks, wanted, side="left") - 1


def _codes(
    asked: pa.Table,
    outcomes: pa.Table,
    on: tuple[str, ...],
) -> tuple[Longs, Longs]:
    """Numbers of the join keys on both sides, equal for equal keys;
    -1 on the asking side for a key that has a null, -2 on the other.
    """
    left = key_text(one_batch(asked), on)
    right = key_text(one_batch(outcomes), on)
    both = pa.chunked_array([left, right]).combine_chunks().dictionary_encode()
    codes = both.indices.fill_null(-1).to_numpy().astype(np.int64)
    theirs = codes[len(left) :]
    return codes[: len(left)], np.where(theirs < 0, -2, theirs)
