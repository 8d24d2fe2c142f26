"""A base file: Parquet with columns `key` and `blob`, sorted by key, in row groups that a reader loads one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pa_parquet

from schemas.events import FileRef
from twinstream.algebra.state import StateBatch
from twinstream.errors import MeshError
from twinstream.mesh.object_store import ObjectStore, sha256_of

SCHEMA = pa.schema([pa.field("key", pa.binary(), nullable=False), pa.field("blob", pa.binary(), nullable=False)])
GROUP_ROWS = 20_000


class CorruptBaseError(MeshError, ValueError):
    """A base file on S3 is not what was published."""


class BaseWriter:
    """Writes states in the order of their keys; `rows` counts the keys."""

    def __init__(self, path: Path) -> None:
        self._writer = pa_parquet.ParquetWriter(path, SCHEMA, compression="zstd", use_dictionary=False, write_statistics=["key"])
        self._held: list[pa.Table] = []
        self._count = 0
        self.rows = 0

    def write(self, states: StateBatch) -> None:
        self._held.append(pa.table([pa.array(states.keys, pa.binary()), pa.array(states.blobs(), pa.binary())], schema=SCHEMA))
        self._count += len(states)
        if self._count >= GROUP_ROWS:
            self._flush()

    def _flush(self) -> None:
        if self._count:
            self._writer.write_table(pa.concat_tables(self._held), row_group_size=GROUP_ROWS)
        self.rows += self._count
        self._held, self._count = [], 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._flush()
        self._writer.close()


def read_base(store: ObjectStore, file: FileRef, path: Path) -> Iterator[StateBatch]:
    """The states of a base file, by row group; raises CorruptBaseError when its bytes are not those that were published."""
    store.download(file.uri, path)
    found = sha256_of(path)
    if found != file.sha256:
        raise CorruptBaseError(
            f"{file.uri} has SHA-256 {found}, but {file.sha256} was published: restore the object, or delete the epoch's events to fold again")
    with pa_parquet.ParquetFile(path) as parquet:
        for batch in parquet.iter_batches(GROUP_ROWS):
            if batch.num_rows:
                yield StateBatch.of(batch["key"].to_pylist(), batch["blob"].to_pylist())
