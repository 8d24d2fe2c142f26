"""Folds the new rows of all sources into the batch views, in one Spark job:
lift, shuffle by target partition, merge with the base before.
"""

# A group is one (view, partition): its file is sorted by key, and written where no other attempt
# writes.

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping
from functools import reduce
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame

from preprocess_svc.batch.folding.base_file import (
    BaseWriter,
    CorruptBaseError,
    fetch_base,
    read_base,
)
from preprocess_svc.batch.folding.merging import Group, grouped, in_parts, merged
from preprocess_svc.batch.folding.pruning import first_tiles, prune
from preprocess_svc.batch.history.map_files import map_files
from preprocess_svc.batch.history.rows import POSITION
from preprocess_svc.batch.spark.context import Context
from preprocess_svc.batch.spark.working_folder import working_folder
from schemas.events import FileRef
from twinstream.algebra import columns, kernel
from twinstream.algebra.layout import HEADER
from twinstream.algebra.plan import ViewPlan
from twinstream.algebra.state import StateBatch
from twinstream.define import View
from twinstream.mesh.object_store import ObjectStore, sha256_of
from twinstream.mesh.settings import MeshSettings

LIFT_WORDS = 12_000_000
"""About so many words are lifted at a time: the more, the more is combined before the shuffle."""
PART_KEYS, PART_WORDS = 2_000, 65_536
"""States are shuffled in parts of so many: as few rows for Spark as can be, small enough for many
of them to be merged at a time.
"""
STATES = "group int, first_key binary, part binary"
STATES_SCHEMA = pa.schema(
    [("group", pa.int32()), ("first_key", pa.binary()), ("part", pa.binary())]
)
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


class Fold(msgspec.Struct, frozen=True):
    """One view's part of the job: `since` is its `complete_since`, `before` its files of the epoch
    before (by partition), `prefix` the S3 URI to write below.

    `whole`: there is no base before to build on; all of the history is folded.
    """

    view: View
    since: dict[int, int]
    before: dict[int, FileRef]
    prefix: str
    whole: bool = False


class Folded(NamedTuple):
    """The new base files of each view, by partition; `lost`: by view whose base before cannot be
    used, why. It has no files.
    """

    files: dict[str, list[FileRef]]
    lost: dict[str, str]


def fold(
    context: Context,
    folds: list[Fold],
    rows: Mapping[str, list[tuple[list[str], list[int]]]],
) -> Folded:
    """Fold new rows onto the bases before, and write the new ones to S3.

    `rows`: per source, URIs of files of the history with the numbers (in `folds`) of the views that
    take them.
    """
    mesh = context.mesh
    groups = len(folds) * mesh.partitions
    lifted = [
        map_files(
            context,
            files,
            to_lift([folds[n].view for n in numbers]),
            Lift(folds, numbers, mesh.partitions),
            STATES,
        )
        for parts in rows.values()
        for files, numbers in parts
        if files and numbers
    ]
    every_group = context.spark.range(0, groups, 1, 1).selectExpr(
        "cast(id as int) as group",
        "cast(null as binary) as first_key",
        "cast(null as binary) as part",
    )
    states = reduce(DataFrame.unionByName, lifted, every_group)
    written = (
        states.repartitionById(groups, "group")
        .sortWithinPartitions("group", "first_key")
        .mapInArrow(MergeAndWrite(mesh, folds), WRITTEN)
    )
    found = written.toArrow().to_pylist()
    return folded(found, [f.view.name for f in folds], mesh.partitions)


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
            named = {name: row[name] for name in ("uri", "sha256", "size_bytes", "rows")}
            files[views[number]].append(FileRef(partition=partition, **named))
    return Folded({name: refs for name, refs in files.items() if name not in lost}, lost)


def to_lift(views: list[View]) -> list[str]:
    """The columns of the history that a lift reads: `_position` only where it decides a byte,
    for it is hard to compress.
    """
    ties = any(ViewPlan(view).tells_ties for view in views)
    return [*([POSITION] if ties else []), *needed(views)]


def needed(views: Iterable[View]) -> list[str]:
    """The fields that these views of one source read."""
    names: set[str] = set()
    for view in views:
        names |= {
            *view.by,
            view.source.event_time,
            *(view.where.fields() if view.where is not None else ()),
        }
        for column in ViewPlan(view).columns:
            names |= (
                {column.of}
                if isinstance(column.of, str)
                else column.of.fields()
                if column.of is not None
                else set()
            )
            names |= column.where.fields() if column.where is not None else set()
    return sorted(names)


class Lift:
    """Rows of one source to states of its views, by group."""

    def __init__(
        self,
        folds: list[Fold],
        numbers: list[int],
        partitions: int,
    ) -> None:
        self._folds = folds
        self._numbers = numbers
        self._partitions = partitions

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        plans = {number: ViewPlan(self._folds[number].view) for number in self._numbers}
        for rows in larger(batches, lift_rows(plans.values())):
            position = (
                rows[POSITION].to_numpy()
                if POSITION in rows.schema.names
                else np.zeros(rows.num_rows, np.int64)
            )
            shared = columns.Shared(rows)
            for number, plan in plans.items():
                states = kernel.lift(
                    plan,
                    rows,
                    position,
                    since=first_tiles(self._folds[number].since),
                    shared=shared,
                )
                for partition, part in enumerate(kernel.by_partition(states, self._partitions)):
                    if len(part):
                        yield _states(number * self._partitions + partition, part)


def lift_rows(plans: Iterable[ViewPlan]) -> int:
    """How many rows are lifted at a time: views with many aggregates take fewer."""
    return LIFT_WORDS // max(
        sum(HEADER + hop.words + 2 * len(hop.sparse) for hop in plan.hops) for plan in plans
    )


def larger(batches: Iterable[pa.RecordBatch], most: int) -> Iterator[pa.RecordBatch]:
    """The same rows in larger batches, so that a lift has more to combine."""
    held: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        held.append(batch)
        count += batch.num_rows
        if count >= most:
            yield from pa.Table.from_batches(held).combine_chunks().to_batches()
            held, count = [], 0
    if count:
        yield from pa.Table.from_batches(held).combine_chunks().to_batches()


def _states(group: int, states: StateBatch) -> pa.RecordBatch:
    parts = list(in_parts(states, PART_KEYS, PART_WORDS))
    found = [
        pa.array([group] * len(parts), pa.int32()),
        pa.array([p.key(0) for p in parts], pa.binary()),
        pa.array([p.to_bytes() for p in parts], pa.binary()),
    ]
    return pa.RecordBatch.from_arrays(found, schema=STATES_SCHEMA)


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
        fold, plan = self._folds[number], ViewPlan(self._folds[number].view)
        before = fold.before.get(partition)
        uri = f"{fold.prefix}/{partition:05d}-{uuid.uuid4().hex}.parquet"
        with working_folder("base") as folder:
            path = folder / "before"
            try:
                if before:
                    fetch_base(store, before, path)
            except CorruptBaseError as error:
                return _written(group.number, "", "", 0, 0, str(error))
            old = read_base(path) if before else iter(())
            path = folder / "base"
            with BaseWriter(path) as writer:
                for states in merged(plan, old, group.parts):
                    writer.write(prune(states, fold.since))
            store.upload(path, uri)
            return _written(
                group.number, uri, sha256_of(path), path.stat().st_size, writer.rows, ""
            )


def _written(*row: object) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(
        [pa.array([value], field.type) for value, field in zip(row, WRITTEN_SCHEMA, strict=True)],
        schema=WRITTEN_SCHEMA,
    )
