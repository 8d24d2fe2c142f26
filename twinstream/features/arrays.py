"""Columns become arrays: numbers with NaN for null, texts, padded sequences.
What is null stays null.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from twinstream.errors import MeshError
from twinstream.features.inputs import Inputs

Numbers = NDArray[np.float64]
Codes = NDArray[np.int64]


class MissingColumnError(MeshError, LookupError):
    """A table does not have a column that the model takes."""


class Features(msgspec.Struct, frozen=True):
    """Values of n rows in the order of `Inputs`: float64[n, N] with NaN for null,
    C lists of texts or None, float64[n, S, K].
    """

    numeric: Numbers
    texts: list[list[str | None]]
    sequences: Numbers

    def __len__(self) -> int:
        return len(self.numeric)


def from_table(table: pa.Table | pa.RecordBatch, inputs: Inputs) -> Features:
    """Features of a training table, whose columns are named as the inputs;
    raises MissingColumnError.
    """
    columns = {name: _column(table, name) for name in inputs.names}
    values = {name: numbers(columns[name]) for name in inputs.numeric}
    for name, length in inputs.sequences:
        values[name] = lists(columns[name], length)
    texts = {name: columns[name].to_pylist() for name in inputs.categorical}
    return assemble(table.num_rows, inputs, values, texts)


def assemble(
    rows: int, inputs: Inputs, values: Mapping[str, Numbers], texts: Mapping[str, list[str | None]]
) -> Features:
    """Puts columns side by side: `values` holds float64[n] of each number and float64[n,
    k] of each sequence.
    """
    numeric = np.full((rows, len(inputs.numeric)), np.nan)
    for i, name in enumerate(inputs.numeric):
        numeric[:, i] = values[name]
    sequences = np.full((rows, len(inputs.sequences), inputs.longest), np.nan)
    for i, (name, length) in enumerate(inputs.sequences):
        sequences[:, i, :length] = values[name]
    return Features(numeric, [texts[name] for name in inputs.categorical], sequences)


def numbers(column: pa.Array | pa.ChunkedArray) -> Numbers:
    """float64[n] of an integer, boolean or float column; null is NaN."""
    column = _joined(column)
    if pa.types.is_boolean(column.type):
        column = pc.cast(column, pa.int8())
    if column.null_count == 0:
        return _numpy(column, np.float64)
    valid = _numpy(pc.is_valid(column), bool)
    filled = _numpy(pc.fill_null(column, 0), np.float64)
    return np.where(valid, filled, np.nan)


def lists(column: pa.Array | pa.ChunkedArray, length: int) -> Numbers:
    """float64[n, length] of a list<double> column; what is null or short is NaN, what is longer is
    cut.
    """
    column = _joined(column)
    out = np.full((len(column), length), np.nan)
    counts = _numpy(pc.fill_null(pc.list_value_length(column), 0), np.int64)
    flat = numbers(pc.list_flatten(column))
    row = np.repeat(np.arange(len(column)), counts)
    starts = np.cumsum(counts) - counts
    place = np.arange(len(flat)) - starts[row]
    fits = place < length
    out[row[fits], place[fits]] = flat[fits]
    return out


def codes(
    texts: Sequence[Sequence[str | None]], places: Sequence[Mapping[str, int]], rows: int
) -> Codes:
    """int64[n, C]: a text's place in its vocabulary counted from 1, 0 for unknown or null."""
    out = np.zeros((rows, len(places)), dtype=np.int64)
    for i, (column, known) in enumerate(zip(texts, places, strict=True)):
        out[:, i] = [known.get(text, 0) if text is not None else 0 for text in column]
    return out


def vocabularies(inputs: Inputs, statistics: Mapping[str, Any]) -> list[dict[str, int]]:
    """Per categorical input: text -> code, as the training set's statistics list its categories."""
    return [
        {text: i + 1 for i, text in enumerate(statistics["categories"].get(name, ()))}
        for name in inputs.categorical
    ]


def _joined(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _numpy(column: pa.Array, kind: Any) -> NDArray[Any]:
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=kind)


def _column(table: pa.Table | pa.RecordBatch, name: str) -> pa.Array | pa.ChunkedArray:
    if name not in table.schema.names:
        raise MissingColumnError(
            f"the table has no column {name!r}; it has {', '.join(table.schema.names[:40])}"
        )
    return table.column(name)
