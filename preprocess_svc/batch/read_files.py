"""The rows of accepted files, each read at the pinned version, its checksum verified, cleaned by the same decoder as live records.

What does not fit is dead-lettered with the file's URI as topic and the row number as offset.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pa_parquet
from pyspark.sql import DataFrame

from preprocess_svc.batch.context import Context
from preprocess_svc.batch.rows import row_schema, spark_schema
from schemas.events import FileAccepted
from twinstream.define import Source
from twinstream.define.records import Decoded, Decoder
from twinstream.errors import MeshError
from twinstream.mesh.dead_letters import DeadLetters
from twinstream.mesh.object_store import ObjectStore, sha256_of
from twinstream.mesh.settings import MeshSettings

BATCH_ROWS = 100_000
BLOCK_BYTES = 16 * 1024 * 1024
FILES_FROM = -(1 << 62)
FILE_SHIFT = 32
MOST_TASKS = 256


class CorruptFileError(MeshError, ValueError):
    """A file is not what was accepted."""


class NumberedFile(NamedTuple):
    """A file with its number among all accepted files; no row of it became known after `latest_us`."""

    number: int
    accepted: FileAccepted
    latest_us: int


class Chunk(NamedTuple):
    """Some rows of a file as decoded: `first` is the number of the first input row, `rows` how many came in."""

    first: int
    decoded: Decoded
    raw: pa.Table | list[bytes]


def read(context: Context, source: Source, files: list[NumberedFile]) -> DataFrame | None:
    """All good rows of these files, one task a file; None when there is no file."""
    if not files:
        return None
    keys = [view.by for view in context.pipeline.views_of(source.name)]
    numbers = context.spark.range(0, len(files), 1, min(len(files), MOST_TASKS))
    return numbers.mapInArrow(ReadFiles(context.mesh, source, keys, files), spark_schema(source))


class ReadFiles:
    """Runs in Spark's Python workers: file indexes to rows."""

    def __init__(self, mesh: MeshSettings, source: Source, keys: list[tuple[str, ...]], files: list[NumberedFile]) -> None:
        self._mesh, self._source, self._keys, self._files = mesh, source, keys, files

    def __call__(self, indexes: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Raises CorruptFileError when bytes are not those that were accepted."""
        store, decoder = ObjectStore(self._mesh), Decoder(self._source, self._keys)
        for batch in indexes:
            for index in batch.column(0).to_pylist():
                yield from self._one(store, decoder, self._files[index])

    def _one(self, store: ObjectStore, decoder: Decoder, file: NumberedFile) -> Iterator[pa.RecordBatch]:
        handle, name = tempfile.mkstemp(prefix="twinstream-file-")
        os.close(handle)
        path = Path(name)
        try:
            _fetch(store, file.accepted, path)
            for chunk in chunks(decoder, path, file.accepted.format):
                self._put_dead(file, chunk)
                yield rows(self._source, chunk, file)
        finally:
            path.unlink()

    def _put_dead(self, file: NumberedFile, chunk: Chunk) -> None:
        """PutDead the rows that do not fit, as JSON when the file's own form has no bytes for a row."""
        if not chunk.decoded.errors:
            return
        dead_letters = DeadLetters(self._mesh, "preprocess")
        for row, reason in chunk.decoded.errors:
            dead_letters.put(
                _original(chunk.raw, row), reason, topic=file.accepted.file.uri, partition=file.number, offset=chunk.first + row,
                wait=False, source=self._source.name)
        dead_letters.flush()


def _fetch(store: ObjectStore, accepted: FileAccepted, path: Path) -> None:
    store.download(accepted.file.uri, path, accepted.file.version_id or None)
    found = sha256_of(path)
    if accepted.file.sha256 and found != accepted.file.sha256:
        raise CorruptFileError(
            f"{accepted.file.uri} has SHA-256 {found}, but {accepted.file.sha256} was accepted: restore the object that was announced")


def rows(source: Source, chunk: Chunk, file: NumberedFile) -> pa.RecordBatch:
    """The rows that fit, with position (number of the file, row in it) and the time at which each became known."""
    batch = chunk.decoded.batch
    position = FILES_FROM + (file.number << FILE_SHIFT) + chunk.first + chunk.decoded.index
    claimed = pc.coalesce(batch[source.known_at or source.event_time], batch[source.event_time])
    known = pc.min_element_wise(claimed, pa.scalar(file.latest_us, pa.int64()))  # as `known_time.known_in_file` has it
    schema = row_schema(source)
    return pa.RecordBatch.from_arrays([pa.array(position.astype(np.int64)), known, *(batch[n] for n in schema.names[2:])], schema=schema)


def chunks(decoder: Decoder, path: Path, form: str) -> Iterator[Chunk]:
    """A file in parts of bounded size, decoded; a row's number is its place in the file, whatever the parts."""
    first = 0
    for part in {"parquet": _parquet, "csv": _csv}.get(form, _lines)(path):
        decoded = decoder.json(part) if isinstance(part, list) else decoder.table(part, text=form == "csv")
        yield Chunk(first, decoded, part)
        first += len(part)


def _parquet(path: Path) -> Iterator[pa.Table]:
    with pa_parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(BATCH_ROWS):
            yield pa.Table.from_batches([batch])


def _csv(path: Path) -> Iterator[pa.Table]:
    """All columns as text; an empty cell is null."""
    with path.open("rb") as file:
        names = pa_csv.read_csv(pa.BufferReader(file.readline())).column_names
    convert = pa_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True)
    with pa_csv.open_csv(path, convert_options=convert, read_options=pa_csv.ReadOptions(block_size=BLOCK_BYTES)) as reader:
        for batch in reader:
            yield pa.Table.from_batches([batch])


def _lines(path: Path) -> Iterator[list[bytes]]:
    with path.open("rb") as file:
        rest = b""
        while block := file.read(BLOCK_BYTES):
            whole, newline, tail = (rest + block).rpartition(b"\n")
            if newline:
                yield whole.splitlines()
            rest = tail if newline else whole + tail
        if rest:
            yield rest.splitlines()


def _original(raw: pa.Table | list[bytes], row: int) -> bytes:
    if isinstance(raw, list):
        return raw[row]
    return json.dumps(raw.slice(row, 1).to_pylist()[0], default=str).encode()
