"""Joins the outcomes that were known by the cut to the questions of the spine."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from preprocess_svc.batch.history.rows import POSITION, one_batch
from preprocess_svc.batch.training_sets.labels import labels_of
from preprocess_svc.batch.training_sets.questions import ROW, QuestionColumns
from twinstream.define import Model
from twinstream.define.record_keys import key_text
from twinstream.protocol.outcomes import labelled
from twinstream.protocol.training_columns import AT, ID, LABEL


class Outcomes:
    """Runs in Spark's Python workers, on all questions and all outcomes of some `on` keys.

    A question is in when it has its label at `as_of_us`: the rule is `protocol.outcomes.labelled`.
    One that lacks a value of the join key never has one.
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
        found = labels_of(self._model, asked, outcomes.combine_chunks())
        at = asked[self._model.at].to_numpy()
        settled = labelled(self._model.label, at, found.known, self._as_of_us)
        keep = pa.array(settled & found.joins & ~np.isnan(found.label))
        return self._questions(asked, found.label).filter(keep)

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


def _spine_fields(model: Model, needed: set[str]) -> list[str]:
    """Fields of the spine that the join reads."""
    wanted = {*needed, *model.spine.id_fields, *model.label.on}
    return [name for name in model.spine.names if name in wanted]


def _label_fields(model: Model) -> list[str]:
    """Fields of the outcomes that the join reads."""
    label = model.label
    ids = label.source.id_fields if model.own_records else ()
    wanted = {label.source.event_time, *label.on, *label.value.fields(), *ids}
    return [name for name in label.source.names if name in wanted]
