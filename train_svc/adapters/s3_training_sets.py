"""Reads training sets from S3, each file pinned by its checksum."""

from __future__ import annotations

import hashlib
from io import BytesIO

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from schemas.events import FileRef, TrainingSetPublished
from train_svc.ports import TrainingSet
from twinstream.errors import MeshError
from twinstream.mesh.object_store import ObjectStore


class TrainingSetCorruptError(MeshError, ValueError):
    """The files of a training set are not those that its event pins."""


class S3TrainingSets:
    """A published training set as one table, in the order of its files."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def read(self, event: TrainingSetPublished) -> TrainingSet:
        """Raises TrainingSetCorruptError, or ObjectMissingError when a file is gone."""
        table = pa.concat_tables([self._table(file) for file in event.files])
        missing = sorted(set(event.columns) - set(table.column_names))
        if table.num_rows != event.rows or missing:
            lacks = f", without columns {', '.join(missing)}" if missing else ""
            raise TrainingSetCorruptError(
                f"training set {event.digest[:12]} of {event.model}: {table.num_rows} rows{lacks}, the event says {event.rows} rows: seal an epoch to build it again")
        return TrainingSet(table, msgspec.json.decode(self._store.get_uri(event.statistics_uri), type=dict))

    def _table(self, file: FileRef) -> pa.Table:
        data = self._store.get_uri(file.uri, file.version_id or None)
        found = hashlib.sha256(data).hexdigest()
        if found != file.sha256:
            raise TrainingSetCorruptError(f"{file.uri} has sha256 {found[:12]}, its event says {file.sha256[:12]}: seal an epoch to build it again")
        return pq.read_table(BytesIO(data))
