"""The rows of a training set as tensors, in parts by time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pyarrow as pa
import torch
from torch import Tensor

from twinstream.errors import PermanentError
from twinstream.features.arrays import codes, from_table, numbers, vocabularies
from twinstream.features.inputs import Inputs
from twinstream.protocol.training_columns import AT, LABEL
from twinstream.protocol.training_split import Parts, parts_by_share, split_in


class TrainingImpossibleError(PermanentError, ValueError):
    """A training set from which nothing can be learned, or a network or config that cannot
    learn.
    """


class Rows(msgspec.Struct, frozen=True):
    """Rows as tensors: float64[n, N], int64[n, C], float64[n, S, K], and labels float64[n]."""

    numeric: Tensor
    categorical: Tensor
    sequences: Tensor
    label: Tensor

    def __len__(self) -> int:
        return len(self.label)

    def take(
        self,
        which: Any,
    ) -> Rows:
        """The rows of an index tensor or slice."""
        return Rows(
            self.numeric[which],
            self.categorical[which],
            self.sequences[which],
            self.label[which],
        )


class Split(msgspec.Struct, frozen=True):
    """Rows by time: train, then validation, then test."""

    train: Rows
    validation: Rows
    test: Rows


def split_of(
    table: pa.Table,
    inputs: Inputs,
    statistics: Mapping[str, Any],
) -> Split:
    """The table's rows, which are ordered by time, as train, validation and test;
    the statistics' bounds in time win over shares.
    """
    rows = rows_of(table, inputs, statistics)
    parts = split_rows(table, statistics)
    return Split(*(rows.take(slice(part.start, part.stop)) for part in parts))


def split_rows(
    table: pa.Table,
    statistics: Mapping[str, Any],
) -> Parts:
    """The rows for training, for validation and for the test."""
    split = split_in(statistics)
    if AT not in table.column_names or split is None:
        return parts_by_share(table.num_rows)
    return split.parts(table.column(AT).to_numpy())


def rows_of(
    table: pa.Table,
    inputs: Inputs,
    statistics: Mapping[str, Any],
) -> Rows:
    """All rows of a table as tensors."""
    features = from_table(table, inputs)
    categorical = codes(features.texts, vocabularies(inputs, statistics), len(features))
    label = numbers(table.column(LABEL)).copy()  # Arrow's own may not be written
    return Rows(
        torch.from_numpy(features.numeric),
        torch.from_numpy(categorical),
        torch.from_numpy(features.sequences),
        torch.from_numpy(label),
    )


def thinned(
    split: Split,
    share: float,
    seed: int,
) -> Split:
    """A random share of the training and validation rows, the same for the same seed;
    in order of time.
    """
    generator = torch.Generator().manual_seed(seed)
    train = _some(split.train, share, generator)
    validation = _some(split.validation, share, generator)
    return Split(train, validation, _some(split.test, share, generator))


def _some(
    rows: Rows,
    share: float,
    generator: torch.Generator,
) -> Rows:
    count = max(1, round(len(rows) * share))
    if count >= len(rows):
        return rows
    chosen = torch.randperm(len(rows), generator=generator)[:count]
    return rows.take(chosen.sort().values)
