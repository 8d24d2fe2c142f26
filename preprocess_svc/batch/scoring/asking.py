"""Rows of a spine to questions, by the rules of a request. What does not fit is put aside with its
number, field and reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa

from preprocess_svc.batch.history.rows import ddl
from preprocess_svc.batch.scoring.files import Files
from preprocess_svc.batch.scoring.spine import Unit, read_parts
from preprocess_svc.batch.training_sets.questions import KNOWN_BY, ROW, QuestionColumns
from twinstream.define import Model
from twinstream.errors import Reason
from twinstream.features.table import AskedRows, TableForm
from twinstream.files.parquet_rows import checked
from twinstream.mesh.settings import MeshSettings
from twinstream.protocol.scores import BAD_ROWS, PART_BITS
from twinstream.protocol.training_columns import AT

ALL_US = np.iinfo(np.int64).max
"""A question of now sees all that its epoch holds, whenever that became known."""
BAD_SCHEMA = pa.schema([("row", pa.int64()), ("field", pa.string()), ("reason", pa.string())])
ASKED = "part int, rows bigint, bad bigint, example string"
_SCHEMA = pa.schema(
    [("part", pa.int32()), ("rows", pa.int64()), ("bad", pa.int64()), ("example", pa.string())]
)


class AskedPart(msgspec.Struct, frozen=True):
    """What became of one part: `rows` questions, `bad` rows, the first of them in words."""

    part: int
    rows: int
    bad: int
    example: str


class UntimedRows(NamedTuple):
    """When a row without a moment is asked, and by when what it may see has become known."""

    at_us: int
    known_by_us: int


class WorkFolders(NamedTuple):
    """Folders of the stages: questions, the spine's rows that ask them, scores with the bad rows
    beside them.
    """

    asked: str
    spine: str
    out: str

    def bad_rows(self, part: int) -> str:
        """The file of a part's bad rows."""
        return part_file(f"{self.out}/{BAD_ROWS}", part)


def part_file(folder: str, part: int) -> str:
    """The name of a part's file."""
    return f"{folder}/part-{part:05d}.parquet"


class Ask:
    """Runs in Spark's Python workers: numbers of units to what became of their parts."""

    def __init__(
        self,
        mesh: MeshSettings,
        model: Model,
        units: list[Unit],
        moments: UntimedRows,
        work: WorkFolders,
    ) -> None:
        self._mesh = mesh
        self._model = model
        self._units = units
        self._moments = moments
        self._work = work

    def __call__(self, numbers: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        files, form = Files(self._mesh), TableForm(self._model)
        for batch in numbers:
            for number in batch["id"].to_pylist():
                unit = self._units[number]
                for i, rows in enumerate(read_parts(files, unit)):
                    done = self._part(files, form, unit.first_part + i, rows)
                    yield pa.RecordBatch.from_pylist([msgspec.to_builtins(done)], schema=_SCHEMA)

    def _part(
        self,
        files: Files,
        form: TableForm,
        part: int,
        rows: pa.Table,
    ) -> AskedPart:
        found = asked_of(form, rows, self._moments.at_us)
        if len(found.rows):
            self._write(files, found, part, rows)
        if found.bad:
            files.write(self._work.bad_rows(part), _bad_table(found.bad, part), kept=True)
        return AskedPart(part, len(found.rows), len(found.bad), _example(found.bad, part))

    def _write(
        self,
        files: Files,
        found: AskedRows,
        part: int,
        rows: pa.Table,
    ) -> None:
        """The questions, and the rows that ask them as they came."""
        table = questions(self._model, found, part, self._moments)
        files.write(part_file(self._work.asked, part), table, kept=False)
        kept = rows.take(pa.array(found.rows)) if found.bad else rows
        files.write(part_file(self._work.spine, part), kept, kept=False)


def asked_of(
    form: TableForm,
    rows: pa.Table,
    at_us: int,
) -> AskedRows:
    """The questions of some rows; one with a text that is not UTF-8 is a bad row too."""
    readable = checked(form.select(rows), 0, np.array([rows.num_rows]))
    found = form.decode(readable.rows, at_us)
    bad = [(bad.number, Reason("", bad.reason)) for bad in readable.bad]
    bad += [(int(readable.numbers[row]), reason) for row, reason in found.bad]
    return found._replace(rows=readable.numbers[found.rows], bad=sorted(bad))


def questions(
    model: Model,
    found: AskedRows,
    part: int,
    moments: UntimedRows,
) -> pa.Table:
    """The columns of `question_schema`."""
    at = found.batch.column(model.at)
    known_by = np.where(found.timed, at.to_numpy(), moments.known_by_us)
    number = number_of(part, found.rows)
    kept = QuestionColumns(model).of(found.batch)
    columns = [pa.array(number), at, pa.array(known_by), *kept]
    return pa.Table.from_arrays(columns, schema=question_schema(model))


def number_of(part: int, row: Any) -> Any:
    """The number of a row, or of many, in the spine: how many rows are before it."""
    return (part << PART_BITS) + row


def question_schema(model: Model) -> pa.Schema:
    """Of a question between the stages."""
    numbers = [pa.field(name, pa.int64()) for name in (ROW, AT, KNOWN_BY)]
    return pa.schema([*numbers, *QuestionColumns(model).fields])


def question_ddl(model: Model) -> str:
    """The same for Spark."""
    return ddl(question_schema(model))


def _bad_table(bad: list[tuple[int, Reason]], part: int) -> pa.Table:
    rows = [
        {"row": number_of(part, row), "field": why.field, "reason": why.words} for row, why in bad
    ]
    return pa.Table.from_pylist(rows, schema=BAD_SCHEMA)


def _example(bad: list[tuple[int, Reason]], part: int) -> str:
    return f"row {number_of(part, bad[0][0])}: {bad[0][1].words}" if bad else ""
