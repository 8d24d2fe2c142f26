"""Rows of a table become questions by the rules of a request, many at a time: for batch scoring."""

# Law: a row is taken, cleaned or refused as the same row of a request is.

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinstream.define import Model, Source
from twinstream.define.records import Decoded, Decoder
from twinstream.errors import Reason
from twinstream.features.request import QuestionForm

Rows = npt.NDArray[np.int64]


class AskedRows(NamedTuple):
    """Questions: `batch` with the spine's fields that the model needs, `rows[i]` the row of the
    table that asks number i, `timed[i]` whether it brought its own moment; `bad` the rows that ask
    nothing, with why. Both in the order of the table.
    """

    batch: pa.RecordBatch
    rows: Rows
    timed: npt.NDArray[np.bool_]
    bad: list[tuple[int, Reason]]


class _Decoded(NamedTuple):
    """Some of the rows, all of which brought their moment, or none."""

    batch: pa.RecordBatch
    rows: Rows
    timed: bool


class TableForm:
    """What tables of a model's questions look like."""

    def __init__(self, model: Model) -> None:
        form = QuestionForm(model)
        self._at = model.at
        self._decoder = form.decoder
        self._joins = _join_decoder(model, form.needed)
        self.columns = [*form.needed, *(self._joins.source.names[1:] if self._joins else ())]
        """The columns of a table that are read, as far as it has them."""

    def check_schema(self, schema: pa.Schema) -> None:
        """Raises RecordError for columns that are missing, or of a type that no row of them
        fits. That of the moment may be missing.
        """
        if self._at not in schema.names:
            schema = schema.append(pa.field(self._at, pa.int64()))
        for decoder in (self._decoder, self._joins):
            if decoder is not None:
                decoder.check_schema(schema)

    def select(self, table: pa.Table) -> pa.Table:
        """The columns that are read, as far as they are there."""
        return table.select([name for name in self.columns if name in table.column_names])

    def decode(self, table: pa.Table, at_us: int) -> AskedRows:
        """Typed rows; a row without its own moment is asked at `at_us`."""
        table = self.select(table)
        bad: dict[int, Reason] = {}
        parts = [
            self._decoded(table, rows, None if timed else at_us, bad)
            for timed, rows in self._by_moment(table)
        ]
        bad |= {row: why for row, why in self._unjoinable(table) if row not in bad}
        return _in_order(parts, bad)

    def _by_moment(self, table: pa.Table) -> Iterator[tuple[bool, Rows]]:
        """The rows that bring their moment, and those that do not."""
        timed = np.zeros(table.num_rows, bool)
        if self._at in table.column_names:
            timed = table[self._at].is_valid().to_numpy()
        for own in (True, False):
            rows = np.flatnonzero(timed == own)
            if len(rows) or own:
                yield own, rows

    def _decoded(
        self,
        table: pa.Table,
        rows: Rows,
        at_us: int | None,
        bad: dict[int, Reason],
    ) -> _Decoded:
        """Some rows, at one moment unless they bring their own."""
        if len(rows) < table.num_rows:
            table = table.take(pa.array(rows))
        if at_us is not None:
            table = _at_moment(table, self._at, at_us)
        found: Decoded = self._decoder.table(table)
        bad |= {int(rows[row]): reason for row, reason in found.reasons}
        return _Decoded(found.batch, rows[found.index], at_us is None)

    def _unjoinable(self, table: pa.Table) -> list[tuple[int, Reason]]:
        """As `QuestionForm.unjoinable`."""
        if self._joins is None:
            return []
        return self._joins.table(_at_moment(table, self._at, 0)).reasons


def _in_order(
    parts: list[_Decoded],
    bad: dict[int, Reason],
) -> AskedRows:
    """The rows that are good in the end, as they came."""
    table = pa.Table.from_batches([part.batch for part in parts])
    rows = np.concatenate([part.rows for part in parts])
    timed = np.concatenate([np.full(len(part.rows), part.timed) for part in parts])
    order = np.argsort(rows, kind="stable")
    if bad:
        order = order[~np.isin(rows[order], list(bad))]
    batch = _one_batch(table.take(pa.array(order)))
    return AskedRows(batch, rows[order], timed[order], sorted(bad.items()))


def _one_batch(table: pa.Table) -> pa.RecordBatch:
    """Also of a table without rows."""
    batches = table.combine_chunks().to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=table.schema)


def _at_moment(table: pa.Table, name: str, at_us: int) -> pa.Table:
    """The table with this moment in every row."""
    at = pa.array(np.full(table.num_rows, at_us, np.int64))
    if name in table.column_names:
        return table.set_column(table.column_names.index(name), name, at)
    return table.append_column(name, at)


def _join_decoder(model: Model, needed: list[str]) -> Decoder | None:
    """Of the fields that join a question to its outcome and are not read otherwise: each may be
    missing, and no rule is applied to it.
    """
    names = [name for name in model.label.on if name not in needed]
    if not names:
        return None
    spine, at = model.spine, model.at
    fields = {at: spine.fields[at]}
    fields |= {name: dataclasses.replace(spine.fields[name], optional=True) for name in names}
    return Decoder(Source(spine.name, fields=fields, id=at, key=at, event_time=at))
