"""A base file: Parquet with columns `key` and `blob`, sorted by key, in row groups that a reader
loads one at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pa_parquet

from preprocess_svc.batch.folding.merging import in_parts
from schemas.events import FileRef
from twinstream.algebra.keys import text_buffers
from twinstream.algebra.state import StateBatch
from twinstream.errors import ObjectMissingError, PermanentError
from twinstream.mesh.object_store import ObjectStore, sha256_of
from twinstream.protocol.base_columns import BASE_SCHEMA, BLOB, KEY

GROUP_ROWS = 20_000
ARRAY_WORDS = 2**27
"""An Arrow array of binary has less than 2 GiB."""


class CorruptBaseError(PermanentError, ValueError):
    """A base file on S3 is not what was published."""


class BaseWriter:
    """Writes states in the order of their keys; `rows` counts the keys."""

    def __init__(self, path: Path) -> None:
        self._writer = pa_parquet.ParquetWriter(
            path, BASE_SCHEMA, compression="zstd", use_dictionary=False, write_statistics=[KEY]
        )
        self._held: list[pa.Table] = []
        self._count = 0
        self.rows = 0

    def write(self, states: StateBatch) -> None:
        """Append states whose keys are beyond all that were written."""
        for part in in_parts(states, GROUP_ROWS, ARRAY_WORDS):
            self._held.append(to_arrow(part))
            self._count += len(part)
            if self._count >= GROUP_ROWS:
                self._flush()

    def _flush(self) -> None:
        if self._count:
            self._writer.write_table(pa.concat_tables(self._held), row_group_size=GROUP_ROWS)
        self.rows += self._count
        self._held = []
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._flush()
        self._writer.close()


def fetch_base(
    store: ObjectStore,
    file: FileRef,
    path: Path,
) -> None:
    """Download a base file; raises CorruptBaseError when it is gone, or its bytes are not those
    that were published.
    """
    try:
        store.download(file.uri, path)
    except ObjectMissingError as error:
        raise CorruptBaseError(str(error)) from error
    found = sha256_of(path)
    if found != file.sha256:
        raise CorruptBaseError(
            f"{file.uri} has SHA-256 {found}, but {file.sha256} was published: "
            "was the object cut off or replaced?"
        )


def read_base(path: Path) -> Iterator[StateBatch]:
    """The states of a base file, by row group."""
    with pa_parquet.ParquetFile(path) as parquet:
        for batch in parquet.iter_batches(GROUP_ROWS):
            if batch.num_rows:
                yield from_arrow(batch)


def to_arrow(states: StateBatch) -> pa.Table:
    """Columns `key` and `blob` on the memory of the states."""
    key = _binary(states.key_data, states.key_offsets)
    return pa.table([key, _binary(states.words, 8 * states.offsets)], schema=BASE_SCHEMA)


def from_arrow(batch: pa.RecordBatch) -> StateBatch:
    """The states of a batch with columns `key` and `blob`."""
    key_data, key_offsets = text_buffers(batch[KEY])
    blobs, offsets = text_buffers(batch[BLOB])
    return StateBatch(key_data, key_offsets, offsets // 8, blobs.view(np.int64)).slice(
        0, batch.num_rows
    )


def _binary(data: np.ndarray, offsets: np.ndarray) -> pa.Array:
    return pa.Array.from_buffers(
        pa.binary(),
        len(offsets) - 1,
        [None, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(data)],
    )
