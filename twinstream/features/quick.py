"""Rows of a request to a model's features without Arrow: the way of the predictor,
held equal to `QuestionForm` by a law.
"""

# All that the definition says is looked up once, when the form is made.
# What the quick way is not sure of, and every row that does not fit, goes through `QuestionForm`,
# which knows the reason.

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from twinstream.algebra import keys
from twinstream.define import View
from twinstream.define.evaluation import Cells
from twinstream.define.expressions import Expr
from twinstream.define.key_length import LONGEST_KEY
from twinstream.define.quick_values import DoubtError, converter
from twinstream.errors import RecordError
from twinstream.features.arrays import Features, Numbers
from twinstream.features.inputs import Inputs
from twinstream.features.request import QuestionForm

FEW = 8
"""Up to so many rows an expression is computed row by row: each numpy operation costs as much as
some rows do.
"""
Columns = dict[str, list[Any]]


class QuickQuestion(NamedTuple):
    """Decoded rows: the moment of each, per view the key of each (None:
    a part is null), and the stored values of the fields.
    """

    at_us: NDArray[np.int64]
    keys: dict[str, list[bytes | None]]
    columns: Columns

    def __len__(self) -> int:
        return len(self.at_us)


class QuickForm:
    """The quick way of one model's questions."""

    def __init__(self, form: QuestionForm) -> None:
        model = form.model
        self.names = list(form.inputs.names)
        self._at = model.at
        self._fields = [(name, converter(model.spine, name)) for name in form.needed]
        self._joined = [
            (name, converter(model.spine, name))
            for name in model.label.on
            if name not in form.needed
        ]
        self._must = [n for n in form.needed if n == model.at or not model.spine.fields[n].optional]
        self._fields_of = [(view.name, view.by) for view in model.views]
        self._key_fields = list(dict.fromkeys(by for _, by in self._fields_of))
        self._place = Placing(form.inputs, model.views)
        numeric = list(enumerate(form.inputs.numeric))
        self._request = [(i, name) for i, name in numeric if name in model.request]
        self._derived = [(i, model.derive[name]) for i, name in numeric if name in model.derive]
        self._texts = form.inputs.categorical

    def decode(self, rows: Sequence[Mapping[str, Any]], asked_us: int) -> QuickQuestion | None:
        """Typed rows, or None: ask the exact way."""
        try:
            columns = {name: to([row.get(name) for row in rows]) for name, to in self._fields}
            for name, to in self._joined:
                to([row.get(name) for row in rows])
            at = [asked_us if us is None else us for us in columns[self._at]]
            columns[self._at] = at
            if any(None in columns[name] for name in self._must):
                return None
            by = {fields: _keys_of(fields, columns) for fields in self._key_fields}
            found = {view: by[fields] for view, fields in self._fields_of}
        except (DoubtError, RecordError):
            return None
        return QuickQuestion(np.array(at, np.int64), found, columns)

    def features(self, question: QuickQuestion, answers: Mapping[str, Numbers]) -> Features:
        """The model's features, as `QuestionForm.features` gives them."""
        numeric, sequences = self._place.views(len(question), answers)
        columns = question.columns
        for i, name in self._request:
            numeric[:, i] = columns[name]  # None becomes NaN
        for i, expression in self._derived:
            numeric[:, i] = _computed(expression, columns, len(question))
        return Features(numeric, [columns[name] for name in self._texts], sequences)


class Placing:
    """Where in the input arrays each output of each view goes: all answers side by side,
    with a NaN behind them, are taken by index.
    """

    def __init__(self, inputs: Inputs, views: Sequence[View]) -> None:
        self._views = [view.name for view in views]
        self._steps = (len(inputs.sequences), inputs.longest)
        starts, end = _starts(views)
        self._numeric = np.array([starts.get(name, end) for name in inputs.numeric], np.intp)
        sequences = np.full(self._steps, end, np.intp)
        for i, (name, length) in enumerate(inputs.sequences):
            sequences[i, :length] = starts[name] + np.arange(length)
        self._sequences = sequences.reshape(-1)

    def views(self, rows: int, answers: Mapping[str, Numbers]) -> tuple[Numbers, Numbers]:
        """float64[n, N] and float64[n, S, K] with the views' answers in their places,
        NaN elsewhere.
        """
        parts = [answers[view] for view in self._views]
        nulls = np.full((rows, 1), np.nan)
        flat = np.concatenate([*parts, nulls], axis=1)
        numeric = flat.take(self._numeric, axis=1)
        sequences = flat.take(self._sequences, axis=1)
        return numeric, sequences.reshape(rows, *self._steps)


def _starts(views: Sequence[View]) -> tuple[dict[str, int], int]:
    """The first column of each output in all answers side by side, and the number of columns."""
    starts, at = {}, 0
    for view in views:
        for output in view.outputs:
            starts[f"{view.name}.{output.name}"] = at
            at += output.width
    return starts, at


def _keys_of(fields: tuple[str, ...], columns: Columns) -> list[bytes | None]:
    """The key of each row; raises DoubtError for one that may be too long or holds the separator of
    parts.
    """
    if len(fields) == 1:
        return [_short(keys.encode_one(value)) for value in columns[fields[0]]]
    parts = [columns[name] for name in fields]
    if any(_separates(part) for column in parts for part in column):
        raise DoubtError
    return [_short(keys.encode(row)) for row in zip(*parts, strict=True)]


def _separates(part: Any) -> bool:
    return type(part) is str and keys.SEPARATOR in part


def _short(key: bytes | None) -> bytes | None:
    if key is not None and len(key) > LONGEST_KEY:
        raise DoubtError
    return key


def _computed(expression: Expr, columns: Columns, rows: int) -> Sequence[float] | Numbers:
    """A derived input of each row, NaN for null."""
    if rows > FEW:
        return expression.floats_of(lambda name: _cells(columns[name]), rows)
    names = expression.fields()
    return [expression.number({name: columns[name][i] for name in names}) for i in range(rows)]


def _cells(values: list[Any]) -> Cells:
    """Values with nulls filled, and which are valid."""
    valid = np.array([value is not None for value in values])
    kind = next((type(value) for value in values if value is not None), int)
    filled = [kind() if value is None else value for value in values]
    if kind is str:
        return np.array(filled, object), valid
    return np.array(filled), valid
