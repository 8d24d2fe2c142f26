"""Sorted parts of states, merged with the base before and pruned, to one file a group; and what the
driver is told of it.
"""

# A group is one (view, partition): its file is sorted by key, and written where no other attempt
# writes.

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from preprocess_svc.batch.folding.base_file import (
    BaseWriter,
    CorruptBaseError,
    fetch_base,
    read_base,
)
from preprocess_svc.batch.folding.fold import Fold
from preprocess_svc.batch.folding.merging import Group, grouped, merged
from preprocess_svc.batch.folding.pruning import prune
from preprocess_svc.batch.spark.working_folder import working_folder
from schemas.events import FileRef
from twinstream.algebra.plan import ViewPlan
from twinstream.algebra.state import StateBatch
from twinstream.mesh.object_store import ObjectStore, sha256_of
from twinstream.mesh.settings import MeshSettings

WRITTEN = "group int, uri string, sha256 string, size_bytes bigint, rows bigint, lost string"
WRITTEN_SCHEMA = pa.schema(
    [
        ("group", pa.int32()),
        ("uri", pa.string()),
        ("sha256", pa.string()),
        ("size_bytes", pa.int64()),
        ("rows", pa.int64()),
        ("lost", pa.string()),
    ]
)


class Folded(NamedTuple):
    """The new base files of each view, by partition; `lost`: by view whose base before cannot be
    used, why. It has no files.
    """

    files: dict[str, list[FileRef]]
    lost: dict[str, str]


def folded(
    written: list[dict[str, Any]],
    views: list[str],
    partitions: int,
) -> Folded:
    """What the rows of WRITTEN say, in any order: group n is partition `n % partitions` of view
    `n // partitions`.
    """
    files: dict[str, list[FileRef]] = {name: [] for name in views}
    lost: dict[str, str] = {}
    for row in sorted(written, key=lambda row: row["group"]):
        number, partition = divmod(row["group"], partitions)
        if row["lost"]:
            lost.setdefault(views[number], row["lost"])
        else:
            files[views[number]].append(_file_of(row, partition))
    return Folded({name: refs for name, refs in files.items() if name not in lost}, lost)


def _file_of(row: dict[str, Any], partition: int) -> FileRef:
    named = {name: row[name] for name in ("uri", "sha256", "size_bytes", "rows")}
    return FileRef(partition=partition, **named)


class MergeAndWrite:
    """Sorted parts of states to one base file a group. A group's first row has no key:
    it is there even when nothing is new.

    A group whose base before cannot be used gets no file: the driver is told, and folds its view
    whole.
    """

    def __init__(self, mesh: MeshSettings, folds: list[Fold]) -> None:
        self._mesh = mesh
        self._folds = folds

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        store = ObjectStore(self._mesh)
        for group in grouped(batches):
            yield self._one(store, group)

    def _one(self, store: ObjectStore, group: Group) -> pa.RecordBatch:
        number, partition = divmod(group.number, self._mesh.partitions)
        fold = self._folds[number]
        before = fold.before.get(partition)
        uri = f"{fold.prefix}/{partition:05d}-{uuid.uuid4().hex}.parquet"
        with working_folder("base") as folder:
            try:
                if before:
                    fetch_base(store, before, folder / "before")
            except CorruptBaseError as error:
                return _written(group.number, "", "", 0, 0, str(error))
            old = read_base(folder / "before") if before else iter(())
            path = folder / "base"
            rows = _merge_into(path, fold, old, group)
            store.upload(path, uri)
            return _written(group.number, uri, sha256_of(path), path.stat().st_size, rows, "")


def _merge_into(
    path: Path,
    fold: Fold,
    old: Iterator[StateBatch],
    group: Group,
) -> int:
    """Write a base; returns its rows."""
    with BaseWriter(path) as writer:
        for states in merged(ViewPlan(fold.view), old, group.parts):
            writer.write(prune(states, fold.since))
    return writer.rows


def _written(*row: object) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(
        [pa.array([value], field.type) for value, field in zip(row, WRITTEN_SCHEMA, strict=True)],
        schema=WRITTEN_SCHEMA,
    )
