"""Decodes and cleans records of a source, live JSON and rows of files alike, into one Arrow batch;
says why the others do not fit.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import cached_property
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinstream.define import columns
from twinstream.define.cleaned import apply_rules
from twinstream.define.fields.arrays import Stored
from twinstream.define.fields.base import FieldType
from twinstream.define.file_schema import check_schema
from twinstream.define.key_length import LONGEST_KEY, widest
from twinstream.define.raw_cells import RawCells, RawColumns, RawObjects
from twinstream.define.record_keys import key_text, refuse_bad_keys
from twinstream.define.source import Source
from twinstream.define.values import stored
from twinstream.errors import UNDECODABLE, Reason, RecordError

Scan = Callable[[Sequence[bytes]], tuple[list[Stored], npt.NDArray[np.bool_]]]
"""Of JSON records their columns in stored form, and bool[n]: of which rows it is sure."""


Index = npt.NDArray[np.int64]
"""Of each row of a batch, its place in the input."""


class Decoded:
    """What came of some records: `batch` holds those that fit, `index` says which input each row
    was, `reasons` why the others do not.
    """

    def __init__(
        self,
        batch: pa.RecordBatch,
        index: npt.NDArray[np.int64],
        reasons: list[tuple[int, Reason]],
        id_fields: tuple[str, ...],
    ) -> None:
        self.batch, self.index, self.reasons, self._id_fields = batch, index, reasons, id_fields

    @property
    def errors(self) -> list[tuple[int, str]]:
        """The reasons in words."""
        return [(row, reason.words) for row, reason in self.reasons]

    @cached_property
    def ids(self) -> pa.Array:
        """The canonical id of each row of the batch: text, none of it null."""
        return key_text(self.batch, self._id_fields)


class Decoder:
    """Decodes records of one source. `keys`: the key fields of views, whose bytes must not exceed
    480. `scan`: a faster way for plain JSON.

    Missing and null are the same; unknown fields are ignored.
    """

    def __init__(
        self, source: Source, keys: Sequence[tuple[str, ...]] = (), scan: Scan | None = None
    ) -> None:
        self.source, self._scan = source, scan
        self._out = source.schema
        self._schema = pa.schema([pa.field(f.name, f.type) for f in source.arrow_fields])
        self._keys = _long_keys(source, keys)
        self._must = _required(source)
        self._attributes = [attrgetter(f"f{i}") for i in range(len(source.fields))]
        self._decode = msgspec.json.Decoder(_struct(source.fields)).decode

    def json(self, values: Sequence[bytes]) -> Decoded:
        """Records as JSON objects."""
        parts, sure = self._scanned(values)
        if parts and sure.all():
            return self._finish(parts, np.arange(len(values)), [], RawObjects(values), text=False)
        read, others, rest = self._structs(values, np.flatnonzero(~sure))
        parts, kept = _merged(parts, sure, read, others) if sure.any() else (read, others)
        return self._finish(parts, kept, rest, RawObjects(values), text=False)

    def _scanned(self, values: Sequence[bytes]) -> tuple[list[Stored], npt.NDArray[np.bool_]]:
        """Columns, and which rows of them are sure; none where no scan is given."""
        return ([], np.zeros(len(values), bool)) if self._scan is None else self._scan(values)

    # one flag: a file of text
    def table(self, table: pa.Table | pa.RecordBatch, text: bool = False) -> Decoded:  # noqa: FBT001, FBT002
        """Rows of a file, in its own types; `text`: all columns are text, as CSV gives them.
        A missing column is null.
        """
        n, fields = table.num_rows, self.source.fields
        raw = {name: columns.plain(_array(table, name, n)) for name in fields}
        parts = [
            columns.store(kind, raw[name], text=text and pa.types.is_string(raw[name].type))
            for name, kind in fields.items()
        ]
        return self._finish(parts, np.arange(n), [], RawColumns(raw), text=text)

    def check_schema(self, schema: pa.Schema, *, text: bool = False) -> None:
        """Raises RecordError when a file of this schema cannot hold records of the source; `text`:
        a CSV file.
        """
        check_schema(self.source, schema, text=text)

    def _structs(
        self, values: Sequence[bytes], rows: Index
    ) -> tuple[list[Stored], Index, list[int]]:
        """Columns of some of the values, the index of each of their rows, and the indexes of those
        that do not decode at once.
        """
        chosen = values if len(rows) == len(values) else [values[i] for i in rows]
        structs, rest = self._fast_rows(chosen)
        raw = [list(map(attribute, structs)) for attribute in self._attributes]
        kinds = self.source.fields.values()
        parts = [kind.from_json(column) for kind, column in zip(kinds, raw, strict=True)]
        return parts, np.delete(rows, rest), rows[rest].tolist()

    def _fast_rows(self, values: Sequence[bytes]) -> tuple[list[Any], list[int]]:
        """Structs of the records that decode at once, and the indexes of the others."""
        decode = self._decode
        try:
            return [decode(value) for value in values], []
        except UNDECODABLE:
            pass
        rows, rest = [], []
        for i, value in enumerate(values):
            try:
                rows.append(decode(value))
            except UNDECODABLE:
                rest.append(i)
        return rows, rest

    def _finish(
        self,
        parts: list[Stored],
        index: Index,
        rest: list[int],
        source: RawCells,
        *,
        text: bool,
    ) -> Decoded:
        """Settles each cell of which the fast way is not sure; adds the rows that it could not read
        at all, in input order; then the rules.
        """
        errors: dict[int, Reason] = {}
        batch = self._settled_batch(parts, index, source, errors, text=text)
        if errors:
            batch, index = _without(batch, index, np.flatnonzero(np.isin(index, list(errors))))
        if rest:
            kept, extra = self._slow(rest, source.row, errors, text=text)
            batch, index = self._joined((batch, index), (extra, kept))
        return self._clean(batch, index, errors)

    def _settled_batch(
        self,
        parts: list[Stored],
        index: Index,
        source: RawCells,
        errors: dict[int, Reason],
        *,
        text: bool,
    ) -> pa.RecordBatch:
        arrays = [
            self._settled(name, part, index, source.cell, errors, text=text)
            if part.doubtful.any()
            else part.array
            for name, part in zip(self.source.fields, parts, strict=True)
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=self._schema)

    def _joined(
        self, fast: tuple[pa.RecordBatch, Index], slow: tuple[pa.RecordBatch, list[int]]
    ) -> tuple[pa.RecordBatch, Index]:
        """The rows of both in input order."""
        index = np.concatenate([fast[1], np.array(slow[1], np.int64)])
        order = np.argsort(index)
        table = pa.Table.from_batches([fast[0], slow[0]]).combine_chunks()
        return _one_batch(table.take(pa.array(order)), self._schema), index[order]

    def _settled(
        self,
        name: str,
        part: Stored,
        index: Index,
        cell: Callable[[str, int], Any],
        errors: dict[int, Reason],
        *,
        text: bool,
    ) -> pa.Array:
        """The column with its doubtful cells as the slow way has them;
        `errors` gets the first reason of each row.
        """
        kind = self.source.fields[name]
        values: list[Any] = []
        for i in index[part.doubtful].tolist():
            values.append(None)
            try:
                values[-1] = stored(kind, cell(name, i), text=text)
            except RecordError as error:
                errors.setdefault(i, Reason.of(name, error))
        return part.with_doubtful(pa.array(values, kind.arrow))

    def _slow(
        self,
        rows: list[int],
        raw: Callable[[int], dict[str, Any]],
        errors: dict[int, Reason],
        *,
        text: bool,
    ) -> tuple[list[int], pa.RecordBatch]:
        kept, values = [], []
        for i in rows:
            try:
                values.append(self._slow_row(raw(i), text=text))
                kept.append(i)
            except RecordError as error:
                errors[i] = Reason(error.field, str(error))
        return kept, self._batch_of(values)

    def _batch_of(self, rows: list[list[Any]]) -> pa.RecordBatch:
        arrays = [
            pa.array([row[c] for row in rows], kind.arrow)
            for c, kind in enumerate(self.source.fields.values())
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=self._schema)

    def _slow_row(self, record: dict[str, Any], *, text: bool) -> list[Any]:
        row = []
        for name, kind in self.source.fields.items():
            try:
                row.append(stored(kind, record.get(name), text=text))
            except RecordError as error:
                raise RecordError(f"{name}: {error}", field=name) from error
        return row

    def _clean(self, batch: pa.RecordBatch, index: Index, errors: dict[int, Reason]) -> Decoded:
        """Applies the rules and checks nulls and the lengths of keys;
        rows that fail leave the batch.
        """
        broken: dict[int, Reason] = {}
        batch = self._checked(batch, broken)
        if broken:
            errors |= {int(index[row]): reason for row, reason in broken.items()}
            batch, index = _without(batch, index, broken)
        batch = pa.RecordBatch.from_arrays(batch.columns, schema=self._out)
        return Decoded(batch, index, sorted(errors.items()), self.source.id_fields)

    def _checked(self, batch: pa.RecordBatch, broken: dict[int, Reason]) -> pa.RecordBatch:
        if self.source.clean:
            batch = apply_rules(self.source, batch, broken)
        self._refuse_nulls(batch, broken)
        for fields in self._keys:
            refuse_bad_keys(batch, fields, broken)
        return batch

    def _refuse_nulls(self, batch: pa.RecordBatch, broken: dict[int, Reason]) -> None:
        for name in self._must:
            column = batch.column(name)
            if column.null_count:
                null = column.is_null().to_numpy(zero_copy_only=False)
                for row in np.flatnonzero(null).tolist():
                    broken.setdefault(row, Reason.of(name, "is null or missing"))


def _long_keys(source: Source, keys: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Those whose values may be too long."""
    return [
        k
        for k in dict.fromkeys([source.id_fields, (source.key,), *keys])
        if widest(k, source.fields) > LONGEST_KEY
    ]


def _required(source: Source) -> list[str]:
    must = {*source.id_fields, source.key, source.event_time}
    return [n for n, t in source.fields.items() if n in must or not t.optional]


def _without(
    batch: pa.RecordBatch, index: Index, gone: Collection[int]
) -> tuple[pa.RecordBatch, Index]:
    """Rows that are left, and the index of each."""
    good = np.ones(batch.num_rows, bool)
    good[list(gone)] = False
    return batch.filter(pa.array(good)), index[good]


def _merged(
    parts: list[Stored],
    sure: npt.NDArray[np.bool_],
    read: list[Stored],
    others: Index,
) -> tuple[list[Stored], Index]:
    """The sure rows of `parts` and the rows of `read`, in input order, and the index of each."""
    index = np.concatenate([np.flatnonzero(sure), others])
    order = np.argsort(index)
    pairs = zip(parts, read, strict=True)
    return [_interleaved(p, sure, r, order) for p, r in pairs], index[order]


def _interleaved(
    part: Stored,
    sure: npt.NDArray[np.bool_],
    read: Stored,
    order: Index,
) -> Stored:
    """One column of both."""
    array = pa.concat_arrays([part.array.filter(pa.array(sure)), read.array])
    doubtful = np.concatenate([part.doubtful[sure], read.doubtful])
    return Stored(array.take(pa.array(order)), doubtful[order])


def _struct(fields: dict[str, FieldType]) -> type[msgspec.Struct]:
    """A struct of all fields, each null when missing; attributes f0, f1, ...
    so that any name will do.
    """
    names = {f"f{i}": name for i, name in enumerate(fields)}
    members = [(f"f{i}", kind.json | None, None) for i, kind in enumerate(fields.values())]
    return msgspec.defstruct("Record", members, rename=names, gc=False)


def _array(table: pa.Table | pa.RecordBatch, name: str, n: int) -> pa.Array:
    if name not in table.schema.names:
        return pa.nulls(n)
    column = table.column(name)
    return (
        (column.combine_chunks() if column.num_chunks != 1 else column.chunk(0))
        if isinstance(column, pa.ChunkedArray)
        else column
    )


def _one_batch(table: pa.Table, schema: pa.Schema) -> pa.RecordBatch:
    batches = table.combine_chunks().to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=schema)
