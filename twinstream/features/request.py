"""Rows of a request become typed columns by the same decoding and cleaning as records, and with view outputs the model's features."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal as Exact
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from twinstream.algebra import keys
from twinstream.define import Model, Source, View
from twinstream.define.fields.base import FieldType
from twinstream.define.record_keys import key_text
from twinstream.define.records import Decoder
from twinstream.define.values import stored
from twinstream.errors import Reason, RecordError
from twinstream.features.arrays import Features, Numbers, assemble, numbers
from twinstream.features.inputs import Inputs

_DIGITS = 19
_encode = msgspec.json.Encoder(decimal_format="number").encode


def as_written(text: str) -> float | int | Exact:
    """A JSON number of a question as records have it: exactly, where a float is not. A record of the question keeps it too."""
    short, exact = float(text), Exact(text)
    if Exact(repr(short)) == exact:
        return short
    whole = exact.adjusted() < _DIGITS and exact == exact.to_integral_value()
    return int(exact) if whole else exact


class RowError(RecordError):
    """A row of a request does not fit; says which row and which field."""

    def __init__(self, row: int, reason: Reason) -> None:
        super().__init__(f"row {row}: {reason.words}", field=reason.field)
        self.row, self.reason = row, reason

    def at(self, row: int) -> RowError:
        """The same of another row."""
        return RowError(row, self.reason)


class Question(msgspec.Struct, frozen=True):
    """Decoded rows: `batch` with the spine's fields, the moment of each, and per view the key of each (None: a part is null)."""

    batch: pa.RecordBatch
    at_us: NDArray[np.int64]
    keys: dict[str, list[bytes | None]]

    def __len__(self) -> int:
        return len(self.at_us)


class QuestionForm:
    """What a model's questions look like: the spine's fields that inputs, derived inputs and view keys need, and its moment."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.inputs = Inputs.of(model.inputs)
        self._at = model.at
        derived = {name for expression in model.derive.values() for name in expression.fields()}
        needed = {
            *model.request,
            *derived,
            *(name for view in model.views for name in view.by),
            model.at,
        }
        self.needed = [name for name in model.spine.names if name in needed]
        self.decoder = Decoder(
            _only(model.spine, self.needed, model.at), [view.by for view in model.views]
        )

    def decode(self, rows: Sequence[Mapping[str, Any]], at_us: int) -> Question:
        """Typed rows; a row without its own moment is asked at `at_us`. Raises RowError naming the first bad row and its field."""
        timed = [self._timed(row, at_us) for row in rows]
        documents = [_document(row, i) for i, row in enumerate(timed)]
        decoded = self.decoder.json(documents)
        if decoded.reasons:
            raise RowError(*decoded.reasons[0])
        keys = {view.name: _keys(decoded.batch, view) for view in self.model.views}
        at = decoded.batch.column(self._at)
        return Question(decoded.batch, at.to_numpy(), keys)

    def faults(self, rows: Sequence[Mapping[str, Any]], at_us: int) -> Iterator[RowError]:
        """Of each row that `decode` would refuse, the first thing that is wrong with it."""
        numbers, documents = [], []
        for i, row in enumerate(rows):
            try:
                documents.append(_document(self._timed(row, at_us), i))
                numbers.append(i)
            except RowError as error:
                yield error
        for at, reason in self.decoder.json(documents).reasons:
            yield RowError(numbers[at], reason)

    def unjoinable(self, rows: Sequence[Mapping[str, Any]]) -> Iterator[RowError]:
        """Rows whose outcome could never be found: what joins a question to it must be a value
        that its field can hold; it may be missing.
        """
        for i, row in enumerate(rows):
            for name in self.model.label.on:
                try:
                    stored(self.model.spine.fields[name], row.get(name))
                except RecordError as error:
                    yield RowError(i, Reason.of(name, error))
                    break

    def _timed(self, row: Mapping[str, Any], at_us: int) -> Mapping[str, Any]:
        return row if row.get(self._at) is not None else {**row, self._at: at_us}

    def features(self, question: Question, answers: Mapping[str, Numbers]) -> Features:
        """The model's features from the rows and, per view, its answers float64[n, n_out] with NaN for null."""
        values = {
            name: numbers(question.batch.column(name))
            for name in self.model.request
            if name in self.inputs.numeric
        }
        values.update(
            (name, expression.floats(question.batch))
            for name, expression in self.model.derive.items()
        )
        for view in self.model.views:
            values.update(outputs(view, answers[view.name]))
        texts = {name: question.batch.column(name).to_pylist() for name in self.inputs.categorical}
        return assemble(len(question), self.inputs, values, texts)


def _document(row: Mapping[str, Any], i: int) -> bytes:
    """The row as a record comes: JSON. Raises RowError for what JSON does not have."""
    for name, value in row.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise RowError(i, Reason.of(name, f"{value} is not a finite number"))
    try:
        return _encode(row)
    except (TypeError, ValueError, RecursionError) as error:
        raise RowError(i, Reason("", f"is not JSON: {error}")) from error


def outputs(view: View, answers: Numbers) -> dict[str, Numbers]:
    """`<view>.<output>` -> float64[n], or float64[n, width] for an output of several numbers, from a view's answers side by side."""
    named, start = {}, 0
    for output in view.outputs:
        part = answers[:, start : start + output.width]
        named[f"{view.name}.{output.name}"] = part[:, 0] if output.width == 1 else part
        start += output.width
    return named


def view_key(view: View, parts: Sequence[str]) -> bytes:
    """Key bytes from the texts of a view's key fields; raises RecordError when their number or a value does not fit."""
    key = keys.encode(_parts(view, parts))
    if key is None:
        raise RecordError(
            f"a part of the key ({', '.join(view.by)}) is empty: a row without it counts in no key"
        )
    return key


def key_batch(view: View, many: Sequence[Sequence[str]]) -> pa.RecordBatch:
    """A column for each key field, a row for each key, in stored form; raises RecordError."""
    rows = [_parts(view, parts) for parts in many]
    columns = []
    for i, name in enumerate(view.by):
        kind = view.source.fields[name]
        columns.append(pa.array([row[i] for row in rows], kind.arrow))
    return pa.RecordBatch.from_arrays(columns, names=list(view.by))


def _parts(view: View, parts: Sequence[str]) -> list[Any]:
    if len(parts) != len(view.by):
        raise RecordError(
            f"view {view.name} is kept by {', '.join(view.by)}: give key once for each, {len(view.by)} in all"
        )
    return [
        _of_url(view.source.fields[name], text) for name, text in zip(view.by, parts, strict=True)
    ]


def _of_url(kind: FieldType, text: str) -> Any:
    """A key's part as a URL has it: the text itself, also when it is empty; other types as they are written."""
    if kind.trimmed and not text:
        raise RecordError("a part of the key is empty, which only a text can be")
    return stored(kind, text, text=kind.trimmed)


def _keys(batch: pa.RecordBatch, view: View) -> list[bytes | None]:
    keys: list[bytes | None] = key_text(batch, view.by).cast(pa.binary()).to_pylist()
    return keys


def _only(spine: Source, names: list[str], at: str) -> Source:
    """The spine with these fields alone and the same rules; `at` stands in for its id and key, which a question may lack."""
    clean = {name: rules for name, rules in spine.clean.items() if name in names}
    return Source(
        spine.name,
        fields={name: spine.fields[name] for name in names},
        id=at,
        key=at,
        event_time=at,
        clean=clean,
    )
