"""What differs between two training sets: rows by their id and moment, values by column."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinstream.protocol.training_columns import AT, ID

EXAMPLES = 5
"""So many changed values of each column are shown."""
Places = npt.NDArray[np.int64]


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """A value that is another one."""

    id: str
    at_us: int
    column: str
    first: Any
    second: Any


class SetDifference(msgspec.Struct, frozen=True, kw_only=True):
    """Rows that one set has alone, and of the rows of both how many values of each column are other
    ones; `columns_*` are those that one has alone.
    """

    rows_first: int
    rows_second: int
    rows_both: int
    columns_first: list[str]
    columns_second: list[str]
    changed: dict[str, int]
    examples: list[Example]

    @property
    def is_none(self) -> bool:
        """Whether both are the same rows."""
        rows, columns = (
            self.rows_first + self.rows_second,
            [*self.columns_first, *self.columns_second],
        )
        return not rows and not columns and not self.changed


class _Pair(NamedTuple):
    """The rows that both sets have, in the same order."""

    first: pa.Table
    second: pa.Table

    def changed(self) -> dict[str, Places]:
        """Of each column of both the rows where it differs, when there are some."""
        names = [name for name in self.first.column_names if name in self.second.column_names]
        found = {name: _changed(self.first[name], self.second[name]) for name in names}
        return {name: rows for name, rows in found.items() if len(rows)}

    def examples(
        self,
        name: str,
        rows: Places,
    ) -> Iterator[Example]:
        """The first of these rows, with a column's values."""
        for row in rows[:EXAMPLES].tolist():
            first, second = (one.slice(row, 1).to_pylist()[0] for one in self)
            yield Example(
                id=first[ID],
                at_us=first[AT],
                column=name,
                first=first[name],
                second=second[name],
            )


def difference(
    first: pa.Table,
    second: pa.Table,
) -> SetDifference:
    """Of two training sets in memory."""
    here, there = _matching(first, second)
    pair = _Pair(first.take(here), second.take(there))
    changed = pair.changed()
    examples = [one for name, rows in changed.items() for one in pair.examples(name, rows)]
    return SetDifference(
        rows_first=first.num_rows - len(here),
        rows_second=second.num_rows - len(there),
        rows_both=len(here),
        columns_first=_alone(first, second),
        columns_second=_alone(second, first),
        changed={name: len(rows) for name, rows in changed.items()},
        examples=examples,
    )


def _alone(
    one: pa.Table,
    other: pa.Table,
) -> list[str]:
    """Columns that one has alone."""
    return [name for name in one.column_names if name not in other.column_names]


def _matching(
    first: pa.Table,
    second: pa.Table,
) -> tuple[Places, Places]:
    """The places of the rows that both have, by id and moment, in the order of the first."""
    keys = _keys(pa.concat_tables([one.select([ID, AT]) for one in (first, second)]))
    rows = first.num_rows
    _, here, there = np.intersect1d(keys[:rows], keys[rows:], return_indices=True)
    order = np.argsort(here)
    return here[order], there[order]


def _keys(rows: pa.Table) -> Places:
    """A number for each pair of id and moment."""
    ids = rows[ID].combine_chunks().dictionary_encode().indices.to_numpy()
    known, moments = np.unique(rows[AT].to_numpy(), return_inverse=True)
    return ids.astype(np.int64) * max(1, len(known)) + moments


def _changed(
    first: pa.ChunkedArray,
    second: pa.ChunkedArray,
) -> Places:
    """The places at which two columns have different values; all where their types differ."""
    if first.type != second.type:
        return np.arange(len(first))
    if pa.types.is_list(first.type):
        return np.flatnonzero([one != other for one, other in _values(first, second)])
    differ = pc.fill_null(pc.not_equal(first, second), fill_value=False)
    return np.flatnonzero(pc.or_(differ, _one_is_null(first, second)).to_numpy())


def _one_is_null(
    first: pa.ChunkedArray,
    second: pa.ChunkedArray,
) -> pa.ChunkedArray:
    return pc.not_equal(pc.is_null(first), pc.is_null(second))


def _values(
    first: pa.ChunkedArray,
    second: pa.ChunkedArray,
) -> Iterator[tuple[Any, Any]]:
    return zip(first.to_pylist(), second.to_pylist(), strict=True)
