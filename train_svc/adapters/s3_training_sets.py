"""Reads training sets from S3, each file pinned by its checksum."""

from __future__ import annotations

import hashlib
from io import BytesIO
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from schemas.events import FileRef, TrainingSetPublished
from train_svc.ports import TrainingSet
from twinstream.errors import TrainingSetCorruptError
from twinstream.mesh.object_store import ObjectStore
from twinstream.protocol import training_statistics

AGAIN = "seal an epoch to build it again"


class S3TrainingSets:
    """A published training set as one table, in the order of its files."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def read(self, event: TrainingSetPublished) -> TrainingSet:
        """Raises TrainingSetCorruptError, or ObjectMissingError when a file is gone."""
        name = f"training set {event.digest[:12]} of {event.model}"
        if not event.files:
            raise TrainingSetCorruptError(f"{name} has no files: {AGAIN}")
        try:
            table = pa.concat_tables([self._table(file) for file in event.files])
        except (pa.ArrowException, OSError) as error:
            raise TrainingSetCorruptError(f"{name} cannot be read: {error}: {AGAIN}") from error
        missing = sorted(set(event.columns) - set(table.column_names))
        if table.num_rows != event.rows or missing:
            lacks = f", without columns {', '.join(missing)}" if missing else ""
            raise TrainingSetCorruptError(
                f"{name}: {table.num_rows} rows{lacks}, the event says {event.rows} rows: {AGAIN}"
            )
        return TrainingSet(table, self._statistics(event.statistics_uri))

    def _statistics(self, uri: str) -> dict[str, Any]:
        data = self._store.get_uri(uri)
        try:
            found: dict[str, Any] = msgspec.to_builtins(training_statistics.decode(data))
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
            raise TrainingSetCorruptError(f"{uri} holds no statistics: {error}: {AGAIN}") from error
        return found

    def _table(self, file: FileRef) -> pa.Table:
        data = self._store.get_uri(file.uri, file.version_id or None)
        found = hashlib.sha256(data).hexdigest()
        if found != file.sha256:
            raise TrainingSetCorruptError(
                f"{file.uri} has sha256 {found[:12]}, its event says {file.sha256[:12]}: "
                "seal an epoch to build it again"
            )
        return pq.read_table(BytesIO(data))
