"""Puts the rows of one span of time together: questions, outcomes and every view's answers,
ordered, written, counted and digested.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pa_parquet

from preprocess_svc.batch.spark.working_folder import working_folder
from preprocess_svc.batch.training_sets.features import numbers
from preprocess_svc.batch.training_sets.questions import ANSWERS, ROW, VIEW
from preprocess_svc.batch.training_sets.statistics import Tally, tally
from twinstream.define import Model, View
from twinstream.mesh.object_store import ObjectStore, sha256_of
from twinstream.mesh.settings import MeshSettings
from twinstream.protocol.training_columns import AT, ID, LABEL
from twinstream.protocol.training_split import Split

WRITTEN = (
    "part int, uri string, sha256 string, size_bytes bigint, rows bigint, digest string, "
    "tally binary, columns array<string>, types array<string>, nulls array<bigint>"
)
ROWS = "rows"
"""The folder of a set's files, in which nothing else lies: a table is made over it."""
GROUP_ROWS = 65_536
"""Rows of a file that are read together: who wants them shuffled reads a few groups at a time."""
_SCHEMA = pa.schema(
    [
        ("part", pa.int32()),
        ("uri", pa.string()),
        ("sha256", pa.string()),
        ("size_bytes", pa.int64()),
        ("rows", pa.int64()),
        ("digest", pa.string()),
        ("tally", pa.binary()),
        ("columns", pa.list_(pa.string())),
        ("types", pa.list_(pa.string())),
        ("nulls", pa.list_(pa.int64())),
    ]
)


class WrittenPart(msgspec.Struct, frozen=True):
    """One file of a set, as its writer tells the driver; `tally` is a `Tally` in MessagePack."""

    part: int
    uri: str
    sha256: str
    size_bytes: int
    rows: int
    digest: str
    tally: bytes
    columns: list[str]
    types: list[str]
    nulls: list[int]

    @property
    def row(self) -> pa.Table:
        """As Spark takes it."""
        values = msgspec.structs.astuple(self)
        return pa.Table.from_arrays(
            [pa.array([value], field.type) for value, field in zip(values, _SCHEMA, strict=True)],
            schema=_SCHEMA,
        )


class Assemble:
    """Runs in Spark's Python workers, on all questions and all answers of one part of time;
    writes one file where no other attempt does.
    """

    def __init__(
        self,
        mesh: MeshSettings,
        model: Model,
        split: Split,
        prefix: str,
    ) -> None:
        self._mesh = mesh
        self._model = model
        self._split = split
        self._prefix = prefix

    def __call__(
        self,
        key: tuple[pa.Scalar, ...],
        questions: pa.Table,
        answers: pa.Table,
    ) -> pa.Table:
        table = self.table(questions, answers)
        with working_folder("training") as folder:
            path = folder / "part"
            pa_parquet.write_table(table, path, compression="zstd", row_group_size=GROUP_ROWS)
            return self._uploaded(key[0].as_py(), table, path).row

    def _uploaded(
        self,
        part: int,
        table: pa.Table,
        path: Path,
    ) -> WrittenPart:
        uri = f"{self._prefix}/{ROWS}/part-{part:05d}.parquet"
        ObjectStore(self._mesh).upload(path, uri)
        return WrittenPart(
            part=part,
            uri=uri,
            sha256=sha256_of(path),
            size_bytes=path.stat().st_size,
            rows=table.num_rows,
            digest=digest_of(table),
            tally=msgspec.msgpack.encode(self._tally(table)),
            columns=table.column_names,
            types=list(map(column_kind, table.schema.types)),
            nulls=[column.null_count for column in table.columns],
        )

    def table(self, questions: pa.Table, answers: pa.Table) -> pa.Table:
        """The rows, ordered by (_at_us, _id, position); a row's features stand beside it."""
        model = self._model
        questions = _ordered(questions)
        columns: dict[str, pa.Array | pa.ChunkedArray] = {
            name: questions[name] for name in (ID, AT, *model.request, *model.derive)
        }
        columns |= answer_columns(model, questions[ROW].to_numpy(), answers)
        return pa.table(columns | {LABEL: questions[LABEL]}).combine_chunks()

    def _tally(self, table: pa.Table) -> Tally:
        inputs = self._model.inputs
        table = self._training_rows(table)
        return tally(
            {name: floats(table[name]) for name in inputs.numeric},
            {name: table[name] for name in inputs.categorical},
            {name: _sequences(table[name], width) for name, width in inputs.sequences},
            floats(table[LABEL]),
        )

    def _training_rows(self, table: pa.Table) -> pa.Table:
        trains = self._split.trains(table[AT].to_numpy())
        return table.filter(pa.array(trains)).combine_chunks()


def _ordered(questions: pa.Table) -> pa.Table:
    order = [(name, "ascending") for name in (AT, ID, ROW)]
    return questions.combine_chunks().sort_by(order)


def _sequences(column: pa.ChunkedArray, width: int) -> np.ndarray:
    """float64 [rows, width]."""
    return floats(pc.list_flatten(column)).reshape(-1, width)


def answer_columns(
    model: Model,
    rows: np.ndarray,
    answers: pa.Table,
) -> dict[str, pa.Array]:
    """The columns of all outputs of the model's views, for the questions with these numbers, in
    their order. Raises ValueError where a view did not answer each of them once.
    """
    columns: dict[str, pa.Array] = {}
    place = np.argsort(np.argsort(rows))
    for number, view in enumerate(model.views):
        mine = _answers_of(answers, number)
        if mine.num_rows != len(rows):
            raise ValueError(f"view {view.name} answered {mine.num_rows} of {len(rows)} questions")
        columns |= outputs(view, mine[ANSWERS], place)
    return columns


def _answers_of(answers: pa.Table, view: int) -> pa.Table:
    """Of the view with this number, in the order of the questions."""
    return answers.filter(pc.equal(answers[VIEW], view)).combine_chunks().sort_by(ROW)


def outputs(
    view: View,
    answers: pa.ChunkedArray,
    place: np.ndarray,
) -> dict[str, pa.Array]:
    """The columns of a view's outputs; `place[i]`: which answer belongs to row i.
    NaN becomes null.
    """
    widths = [output.width for output in view.outputs]
    values = numbers(answers, sum(widths))[place]
    parts = np.split(values, np.cumsum(widths)[:-1], axis=1)
    return {
        f"{view.name}.{output.name}": _output_column(part)
        for output, part in zip(view.outputs, parts, strict=True)
    }


def _output_column(values: np.ndarray) -> pa.Array:
    """Of float64 [rows, width]: numbers, or lists of them where the width is not 1."""
    rows, width = values.shape
    flat = pa.array(np.ascontiguousarray(values).reshape(-1), from_pandas=True)
    if width == 1:
        return flat
    offsets = pa.array(np.arange(rows + 1, dtype=np.int32) * width)
    return pa.ListArray.from_arrays(offsets, flat)


def floats(column: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """A column of numbers in stored form as float64, NaN for null."""
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return np.asarray(
        whole.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    )  # beyond 2**53 the nearest float, as serving takes it


def digest_of(table: pa.Table) -> str:
    """SHA-256 over the columns: names, types, and the values in a form that does not depend on
    buffers or files.
    """
    digest = hashlib.sha256()
    for name in table.column_names:
        column = table[name].combine_chunks()
        column = column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
        digest.update(f"{name}:{column_kind(column.type)}:{len(column)}:".encode())
        _digest_values(digest, column)
    return digest.hexdigest()


def column_kind(column: pa.DataType) -> str:
    """A column's type as text; Parquet gives the values of lists another name than Arrow."""
    return f"list<{column.value_type}>" if pa.types.is_list(column) else str(column)


def _digest_values(digest: hashlib._Hash, column: pa.Array) -> None:
    digest.update(np.packbits(column.is_valid().to_numpy(zero_copy_only=False)).tobytes())
    if pa.types.is_list(column.type):
        digest.update(_bytes_of(column.value_lengths(), "<i8"))
        _digest_values(digest, column.flatten())
    elif pa.types.is_string(column.type):
        digest.update(_bytes_of(pc.binary_length(column), "<i8"))
        digest.update("".join(column.drop_null().to_pylist()).encode())
    else:
        kind = "<f8" if pa.types.is_floating(column.type) else "<i8"
        as_number = pa.int8() if pa.types.is_boolean(column.type) else column.type
        digest.update(_bytes_of(column.cast(as_number), kind))


def _bytes_of(numbers: pa.Array, kind: str) -> bytes:
    """With 0 for null."""
    return bytes(numbers.fill_null(0).to_numpy().astype(kind).tobytes())
