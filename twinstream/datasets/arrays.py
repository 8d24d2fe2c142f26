"""Rows of a set's files as arrays: what a network takes, in float32."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from twinstream.datasets.pieces import Piece
from twinstream.features import arrays
from twinstream.features.inputs import Inputs
from twinstream.protocol.training_columns import AT, LABEL

Floats = npt.NDArray[np.float32]


class Block(NamedTuple):
    """n rows: float32[n, N] with NaN for null, int64[n, C] places in the vocabulary from 1 on, 0
    for unknown or null, float32[n, S, K], float32[n] labels, int64[n] microseconds.
    """

    numeric: Floats
    categorical: npt.NDArray[np.int64]
    sequences: Floats
    label: Floats
    at_us: npt.NDArray[np.int64]

    @property
    def rows(self) -> int:
        """How many."""
        return len(self.label)

    def take(
        self,
        which: npt.NDArray[np.int64] | slice,
    ) -> Block:
        """These of its rows."""
        return Block._make(column[which] for column in self)


class BlockReader:
    """Reads pieces of files. Not safe for threads or for processes: each makes its own."""

    def __init__(
        self,
        paths: Sequence[Path],
        inputs: Inputs,
        categories: Mapping[str, Sequence[str]],
    ) -> None:
        self._paths = paths
        self._inputs = inputs
        self._texts = [
            pa.array(categories.get(name, []), pa.string()) for name in inputs.categorical
        ]
        self._files: dict[int, pq.ParquetFile] = {}

    def read(
        self,
        pieces: Sequence[Piece],
    ) -> Block:
        """The rows of all of them, in their order."""
        return joined([self._block(self._table(piece)) for piece in pieces])

    def _table(
        self,
        piece: Piece,
    ) -> pa.Table:
        file = self._files.get(piece.file)
        if file is None:
            file = self._files[piece.file] = pq.ParquetFile(self._paths[piece.file])
        columns = [*self._inputs.names, LABEL, AT]
        table = file.read_row_group(piece.group, columns, use_threads=False)
        return table.slice(piece.first, piece.rows)

    def _block(
        self,
        table: pa.Table,
    ) -> Block:
        label = arrays.numbers(table[LABEL]).astype(np.float32)
        return Block(
            self._numeric(table),
            self._codes(table),
            self._sequences(table),
            label,
            table[AT].to_numpy(),
        )

    def _numeric(
        self,
        table: pa.Table,
    ) -> Floats:
        names = self._inputs.numeric
        found = np.empty((len(names), table.num_rows), np.float32)
        for number, name in enumerate(names):
            found[number] = _floats(table[name])
        return np.ascontiguousarray(found.T)

    def _sequences(
        self,
        table: pa.Table,
    ) -> Floats:
        inputs = self._inputs
        shape = (table.num_rows, len(inputs.sequences), inputs.longest)
        found = np.full(shape, np.nan, np.float32)
        for number, (name, length) in enumerate(inputs.sequences):
            found[:, number, :length] = arrays.lists(table[name], length)
        return found

    def _codes(
        self,
        table: pa.Table,
    ) -> npt.NDArray[np.int64]:
        found = np.empty((table.num_rows, len(self._texts)), np.int64)
        for number, name in enumerate(self._inputs.categorical):
            found[:, number] = _places(table[name], self._texts[number])
        return found


def _floats(column: pa.ChunkedArray) -> npt.NDArray[Any]:
    """As `arrays.numbers`, without its copies where Arrow makes NaN of null itself."""
    if pa.types.is_float64(column.type):
        return column.to_numpy()
    return arrays.numbers(column)


def _places(
    column: pa.ChunkedArray,
    texts: pa.Array,
) -> npt.NDArray[Any]:
    """Of each text its place in a vocabulary, from 1 on; 0 for one that is not in it."""
    found = pc.index_in(column, value_set=texts, skip_nulls=True)
    return pc.fill_null(found, -1).to_numpy() + 1


def joined(blocks: Sequence[Block]) -> Block:
    """All rows, in their order."""
    if len(blocks) == 1:
        return blocks[0]
    return Block._make(np.concatenate(columns) for columns in zip(*blocks, strict=True))
