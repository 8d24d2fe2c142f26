"""The rows of accepted files, each read at the pinned version, its checksum verified,
cleaned by the same decoder as live records.
"""

# What does not fit is a dead letter: a row with the file's URI as topic and the row's number as
# offset, a file as a whole with offset -1. A file that cannot be read is left out of its epoch,
# and so is one whose readers died; it never keeps the epoch from landing.

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame

from preprocess_svc.batch.history.reading_marks import ReadingMarks
from preprocess_svc.batch.history.rows import row_schema, spark_schema
from preprocess_svc.batch.spark.context import Context
from preprocess_svc.batch.spark.working_folder import working_folder
from schemas.events import FileAccepted
from twinstream.define import Source
from twinstream.define.records import Decoded, Decoder
from twinstream.errors import PermanentError, RecordError, StorageUnavailableError, TransientError
from twinstream.files.csv_rows import read_csv
from twinstream.files.json_lines import read_json_lines
from twinstream.files.limits import limited_memory, too_large
from twinstream.files.parquet_rows import BATCH_ROWS, check_parquet, read_parquet
from twinstream.files.parts import BLOCK_BYTES, BadRow, Part, UnreadableFileError, bad_row
from twinstream.mesh.dead_letters import DeadLetters, Kind
from twinstream.mesh.object_store import ObjectStore, sha256_of
from twinstream.mesh.quarantine import ATTEMPTS
from twinstream.mesh.settings import MeshSettings
from twinstream.protocol.row_order import MOST_FILE_ROWS, position_in_files

MOST_TASKS = 256
SLICE_BYTES = 64 << 20
DEADLY = (
    f"the process that read it died {ATTEMPTS} times while it did (of memory, "
    "or of a fault in a library): it is not read again"
)
PAUSES_S = (0.5, 2.0, 8.0)
"""Between attempts at a file while S3 does not answer; then the step fails, and is tried again as a
whole.
"""


BAD_ROWS = pa.schema(
    [
        ("number", pa.int64()),
        ("where", pa.string()),
        ("original", pa.large_binary()),
        ("reason", pa.string()),
    ]
)


class NumberedFile(NamedTuple):
    """A file with its number among all accepted files; no row of it became known after
    `latest_us`.
    """

    number: int
    accepted: FileAccepted
    latest_us: int


class Care(NamedTuple):
    """How files are read: what one may cost, and the S3 URIs below which left-out files are named,
    and files that are being read.

    `marks` "": not noted, for no reader has died yet. With it, one file is read at a time.
    """

    verdicts: str
    memory_bytes: int
    expanded_bytes: int
    marks: str = ""


class Chunk(NamedTuple):
    """Some rows of a file as decoded: `numbers[i]` is that of row i of the batch;
    `bad` the rows that do not count.
    """

    batch: pa.RecordBatch
    numbers: np.ndarray
    bad: list[BadRow]


def read(
    context: Context,
    source: Source,
    files: list[NumberedFile],
    care: Care,
) -> DataFrame | None:
    """All good rows of these files, one task per file; None when there is no file."""
    if not files:
        return None
    keys = [view.by for view in context.pipeline.views_of(source.name)]
    tasks = 1 if care.marks else min(len(files), MOST_TASKS)
    numbers = context.spark.range(0, len(files), 1, tasks)
    return numbers.mapInArrow(
        ReadFiles(context.mesh, source, keys, files, care), spark_schema(source)
    )


class ReadFiles:
    """Runs in Spark's Python workers: file indexes to rows."""

    def __init__(
        self,
        mesh: MeshSettings,
        source: Source,
        keys: list[tuple[str, ...]],
        files: list[NumberedFile],
        care: Care,
    ) -> None:
        self._mesh = mesh
        self._source = source
        self._keys = keys
        self._files = files
        self._care = care

    def __call__(self, indexes: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Raises StorageUnavailableError when S3 stays away; whatever is wrong with a file costs
        that file alone.
        """
        store, decoder = ObjectStore(self._mesh), Decoder(self._source, self._keys)
        for batch in indexes:
            for index in batch.column(0).to_pylist():
                with working_folder("file") as folder:
                    yield from self._noted(store, decoder, self._files[index], folder)

    def _noted(
        self,
        store: ObjectStore,
        decoder: Decoder,
        file: NumberedFile,
        folder: Path,
    ) -> Iterator[pa.RecordBatch]:
        """With marks it is known which file was read when a process died, however it died."""
        if not self._care.marks:
            yield from self._one(store, decoder, file, folder)
            return
        marks = ReadingMarks(store, self._care.marks)
        if marks.is_deadly(file.number):
            self._leave_out(store, file, DEADLY, kind="bug")
            return
        with marks.reading(file.number):
            yield from self._one(store, decoder, file, folder)

    def _one(
        self,
        store: ObjectStore,
        decoder: Decoder,
        file: NumberedFile,
        folder: Path,
    ) -> Iterator[pa.RecordBatch]:
        """All rows of a file once all of it could be read, else none."""
        spool, bad = folder / "rows", folder / "bad"
        try:
            _patiently(lambda: _fetch(store, file.accepted, folder / "file"))
            with limited_memory(self._care.memory_bytes):
                self._spool(decoder, file, folder / "file", spool, bad)
        except (TransientError, OSError):
            raise
        except PermanentError as error:
            self._leave_out(store, file, str(error))
            return
        except Exception as error:  # noqa: BLE001
            # whatever one file brings about, it costs that file alone
            self._leave_out(
                store,
                file,
                f"{type(error).__name__}: {error}",
                kind="bug",
                trace="".join(traceback.format_exception(error)),
            )
            return
        self._dead_letters(file, bad)
        with pa.memory_map(str(spool)) as mapped, pa.ipc.open_stream(mapped) as reader:
            for batch in reader:
                yield from in_slices(batch)

    def _spool(
        self,
        decoder: Decoder,
        file: NumberedFile,
        path: Path,
        spool: Path,
        bad: Path,
    ) -> None:
        """All rows into one local file, those that do not count into another.

        Raises UnreadableFileError, and whatever a reader of broken bytes may raise.
        """
        form, most = file.accepted.format, self._care.expanded_bytes
        if form == "parquet":
            check_parquet(path, list(decoder.source.fields), most)
        with (
            pa.OSFile(str(spool), "wb") as sink,
            pa.ipc.new_stream(sink, row_schema(self._source)) as writer,
            pa.OSFile(str(bad), "wb") as bad_sink,
            pa.ipc.new_stream(bad_sink, BAD_ROWS) as bad_writer,
        ):
            for chunk in chunks(decoder, path, form):
                bad_writer.write_batch(_bad_batch(chunk.bad))
                writer.write_batch(rows(self._source, chunk, file))
                if (written := sink.tell() + bad_sink.tell()) > most:
                    raise too_large(written, most)

    def _leave_out(
        self,
        store: ObjectStore,
        file: NumberedFile,
        reason: str,
        *,
        kind: Kind = "permanent",
        trace: str = "",
    ) -> None:
        """A dead letter for the file as a whole, and a note for the driver, which says in the
        manifest what the epoch lacks.
        """
        DeadLetters(self._mesh, "preprocess").put(
            b"",
            f"{file.accepted.file.uri}: {reason}",
            topic=file.accepted.file.uri,
            partition=file.number,
            offset=-1,
            kind=kind,
            trace=trace,
            source=self._source.name,
            uri=file.accepted.file.uri,
        )
        store.put_uri(f"{self._care.verdicts}/{file.number}", reason.encode(errors="replace"))

    def _dead_letters(self, file: NumberedFile, bad: Path) -> None:
        letters: DeadLetters | None = None
        uri = file.accepted.file.uri
        for row in _bad_rows(bad):
            letters = letters or DeadLetters(self._mesh, "preprocess")
            letters.put(
                row.original,
                f"{uri}: {row.reason}",
                topic=uri,
                partition=file.number,
                offset=row.number,
                wait=False,
                source=self._source.name,
                line=row.where,
            )
        if letters is not None:
            letters.flush()


def _bad_batch(bad: list[BadRow]) -> pa.RecordBatch:
    """Bad rows on their way to the disk, where a file of nothing else needs no memory."""
    texts = [(row.where, row.reason.encode(errors="replace").decode()) for row in bad]
    return pa.RecordBatch.from_arrays(
        [
            pa.array([row.number for row in bad], pa.int64()),
            pa.array([where for where, _ in texts], pa.string()),
            pa.array([row.original for row in bad], pa.large_binary()),
            pa.array([reason for _, reason in texts], pa.string()),
        ],
        schema=BAD_ROWS,
    )


def _bad_rows(path: Path) -> Iterator[BadRow]:
    with pa.memory_map(str(path)) as mapped, pa.ipc.open_stream(mapped) as reader:
        for batch in reader:
            yield from map(BadRow, *(column.to_pylist() for column in batch.columns))


def in_slices(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """The same rows in batches that the JVM's memory holds: a few long texts make a batch of
    gigabytes.
    """
    rows_at_once = max(1, batch.num_rows * SLICE_BYTES // max(1, batch.nbytes))
    for start in range(0, batch.num_rows, rows_at_once):
        yield batch.slice(start, rows_at_once)


def left_out(store: ObjectStore, verdicts: str) -> list[int]:
    """Numbers of the files that the workers left out."""
    bucket, _, prefix = verdicts.removeprefix("s3://").partition("/")
    return sorted(int(key.rsplit("/", 1)[1]) for key in store.list(bucket, prefix + "/"))


def _patiently(work: Callable[[], None]) -> None:
    """Again while S3 does not answer, with growing pauses."""
    for pause_s in PAUSES_S:
        try:
            return work()
        except StorageUnavailableError:
            time.sleep(pause_s)
    return work()


def _fetch(
    store: ObjectStore,
    accepted: FileAccepted,
    path: Path,
) -> None:
    store.download(accepted.file.uri, path, accepted.file.version_id or None)
    found = sha256_of(path)
    if accepted.file.sha256 and found != accepted.file.sha256:
        raise UnreadableFileError(
            f"it has SHA-256 {found}, but {accepted.file.sha256} was accepted: "
            "was the object replaced?"
        )


def rows(
    source: Source,
    chunk: Chunk,
    file: NumberedFile,
) -> pa.RecordBatch:
    """The rows that fit, with position (number of the file, row in it) and the time at which each
    became known.
    """
    batch = chunk.batch
    position = position_in_files(file.number, chunk.numbers)
    claimed = pc.coalesce(batch[source.known_at or source.event_time], batch[source.event_time])
    known = pc.min_element_wise(
        claimed, pa.scalar(file.latest_us, pa.int64())
    )  # as `known_time.known_in_file` has it
    schema = row_schema(source)
    return pa.RecordBatch.from_arrays(
        [pa.array(position), known, *(batch[n] for n in schema.names[2:])],
        schema=schema,
    )


def chunks(
    decoder: Decoder,
    path: Path,
    form: str,
    *,
    block_bytes: int = BLOCK_BYTES,
    batch_rows: int = BATCH_ROWS,
) -> Iterator[Chunk]:
    """A file in parts of bounded size, decoded; a row's number is its place among the file's rows,
    whatever the parts.

    Raises UnreadableFileError, perhaps after some chunks: take none before the last came.
    """
    for part in _parts(path, form, list(decoder.source.fields), block_bytes, batch_rows):
        if len(part.numbers) and int(part.numbers[-1]) >= MOST_FILE_ROWS:
            raise UnreadableFileError(f"it has more than {MOST_FILE_ROWS} rows: send it in parts")
        yield _decoded(decoder, part, text=form == "csv")


def _parts(
    path: Path,
    form: str,
    wanted: list[str],
    block_bytes: int,
    batch_rows: int,
) -> Iterator[Part]:
    """A file's rows as its form gives them."""
    if form == "parquet":
        yield from read_parquet(path, wanted, batch_rows)
        return
    with path.open("rb") as file:
        yield from (
            read_csv(file, wanted, block_bytes)
            if form == "csv"
            else read_json_lines(file, block_bytes)
        )


def _decoded(
    decoder: Decoder,
    part: Part,
    *,
    text: bool,
) -> Chunk:
    try:
        found: Decoded = (
            decoder.json(part.rows)
            if isinstance(part.rows, list)
            else decoder.table(part.rows, text=text)
        )
    except (RecordError, pa.ArrowException, ValueError, OverflowError) as error:
        raise UnreadableFileError(f"its rows cannot be decoded: {error}") from error
    bad = [bad_row(int(part.numbers[i]), part.place(i), reason) for i, reason in found.errors]
    return Chunk(found.batch, part.numbers[found.index], sorted([*part.bad, *bad]))
