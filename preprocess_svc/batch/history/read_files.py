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
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
from pyspark.sql import DataFrame

from preprocess_svc.batch.history.bad_rows import BAD_ROWS, bad_batch, read_bad_rows
from preprocess_svc.batch.history.file_rows import NumberedFile, chunks, in_slices, rows
from preprocess_svc.batch.history.reading_marks import ReadingMarks
from preprocess_svc.batch.history.rows import row_schema, spark_schema
from preprocess_svc.batch.spark.context import Context
from preprocess_svc.batch.spark.working_folder import working_folder
from schemas.events import FileAccepted
from twinstream.define import Source
from twinstream.define.records import Decoder
from twinstream.errors import PermanentError, StorageUnavailableError, TransientError
from twinstream.files.limits import limited_memory, too_large
from twinstream.files.parquet_rows import check_parquet
from twinstream.files.parts import UnreadableFileError
from twinstream.mesh.dead_letters import DeadLetters, Kind
from twinstream.mesh.object_store import ObjectStore, sha256_of
from twinstream.mesh.quarantine import ATTEMPTS
from twinstream.mesh.settings import MeshSettings

MOST_TASKS = 256
DEADLY = (
    f"the process that read it died {ATTEMPTS} times while it did (of memory, "
    "or of a fault in a library): it is not read again"
)
PAUSES_S = (0.5, 2.0, 8.0)
"""Between attempts at a file while S3 does not answer; then the step fails, and is tried again as a
whole.
"""


class Care(NamedTuple):
    """How files are read: what one may cost, and the S3 URIs below which left-out files are named,
    and files that are being read.

    `marks` "": not noted, for no reader has died yet. With it, one file is read at a time.
    """

    verdicts: str
    memory_bytes: int
    expanded_bytes: int
    marks: str = ""


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
        if not self._is_spooled(store, decoder, file, folder):
            return
        self._dead_letters(file, folder / "bad")
        spool = str(folder / "rows")
        with pa.memory_map(spool) as mapped, pa.ipc.open_stream(mapped) as reader:
            for batch in reader:
                yield from in_slices(batch)

    def _is_spooled(
        self,
        store: ObjectStore,
        decoder: Decoder,
        file: NumberedFile,
        folder: Path,
    ) -> bool:
        """Fetch and read a file; one that cannot be read is left out."""
        try:
            _patiently(lambda: _fetch(store, file.accepted, folder / "file"))
            with limited_memory(self._care.memory_bytes):
                self._spool(decoder, file, folder)
        except (TransientError, OSError):
            raise
        except PermanentError as error:
            self._leave_out(store, file, str(error))
            return False
        except Exception as error:  # noqa: BLE001
            # whatever one file brings about, it costs that file alone
            trace = "".join(traceback.format_exception(error))
            reason = f"{type(error).__name__}: {error}"
            self._leave_out(store, file, reason, kind="bug", trace=trace)
            return False
        return True

    def _spool(
        self,
        decoder: Decoder,
        file: NumberedFile,
        folder: Path,
    ) -> None:
        """All rows of `file` into the local file `rows`, those that do not count into `bad`.

        Raises UnreadableFileError, and whatever a reader of broken bytes may raise.
        """
        path, form, most = folder / "file", file.accepted.format, self._care.expanded_bytes
        if form == "parquet":
            check_parquet(path, list(decoder.source.fields), most)
        with (
            _sink(folder / "rows", row_schema(self._source)) as (sink, writer),
            _sink(folder / "bad", BAD_ROWS) as (bad_sink, bad_writer),
        ):
            for chunk in chunks(decoder, path, form):
                bad_writer.write_batch(bad_batch(chunk.bad))
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
        for row in read_bad_rows(bad):
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


@contextmanager
def _sink(path: Path, schema: pa.Schema) -> Iterator[tuple[pa.NativeFile, pa.RecordBatchWriter]]:
    """A local file, and what writes batches into it."""
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
        yield sink, writer


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
