"""Builds a training set: for each labelled question of the spine what the views would have answered
then, from what was known then.
"""

# Three Spark stages: outcomes joined to questions, features of each view by key,
# rows put together by time.

from __future__ import annotations

import hashlib
import uuid
from functools import reduce
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from preprocess_svc.batch.folding.lifting import needed
from preprocess_svc.batch.history.rows import KNOWN, POSITION, ddl
from preprocess_svc.batch.history.table import History
from preprocess_svc.batch.spark.context import Context
from preprocess_svc.batch.training_sets.assembly import WRITTEN, Assemble, WrittenPart
from preprocess_svc.batch.training_sets.features import FEATURES, ViewFeatures
from preprocess_svc.batch.training_sets.outcomes import PART, ROW, Outcomes
from preprocess_svc.batch.training_sets.statistics import Tally, merge_tallies
from schemas.events import FileRef, TrainingSetPublished
from schemas.topics import training_prefix
from twinstream.define import Model, View
from twinstream.mesh.object_store import ObjectStore
from twinstream.protocol import training_statistics
from twinstream.protocol.training_columns import AT
from twinstream.protocol.training_split import Split, split_by_time

FORMAT = 1


class TrainingSets:
    """Builds the training sets of a pipeline's models from its history."""

    def __init__(self, context: Context, history: History) -> None:
        self._mesh = context.mesh
        self._knobs = context.knobs
        self._pipeline = context.pipeline
        self._history = history

    def build(
        self,
        model: Model,
        epoch: int,
        as_of_us: int,
    ) -> TrainingSetPublished | None:
        """The training set as of an epoch's cut, on S3; None when no question has an outcome.

        The same history gives the same digest.
        """
        questions = self._questions(model, epoch, as_of_us).persist()
        try:
            moments = questions.groupBy(AT).count().toArrow().sort_by(AT)
            if moments.num_rows == 0:
                return None
            at = moments[AT].to_numpy()
            counts = moments["count"].to_numpy()
            split = split_by_time(at, counts)
            bounds = file_bounds(at, counts, self._knobs.rows_per_file)
            written = self._written(model, epoch, questions, bounds, split)
            return self._published(model, epoch, written, split, at)
        finally:
            questions.unpersist()

    def _questions(
        self,
        model: Model,
        epoch: int,
        as_of_us: int,
    ) -> DataFrame:
        """Spine rows with their outcome, one task a part of the `on` keys."""
        label = model.label
        stage = Outcomes(model, as_of_us)
        asked = self._history.rows(model.spine, epoch).select(POSITION, *stage.spine_fields)
        outcomes = self._history.rows(label.source, epoch).select(POSITION, *stage.label_fields)
        return (
            self._parted(asked, label.on)
            .cogroup(self._parted(outcomes, label.on))
            .applyInArrow(_function(stage), ddl(stage.schema))
        )

    def _written(
        self,
        model: Model,
        epoch: int,
        questions: DataFrame,
        bounds: list[int],
        split: Split,
    ) -> list[WrittenPart]:
        """Files of the set in the order of time."""
        features = reduce(
            DataFrame.unionByName,
            (
                self._features(model, number, epoch, questions, bounds)
                for number in range(len(model.views))
            ),
        )
        parted = questions.withColumn(PART, _part_of(bounds)).groupBy(PART)
        rows = parted.cogroup(features.groupBy(PART))
        stage = Assemble(self._mesh, model, split, self._new_prefix(model, epoch))
        written = rows.applyInArrow(_function_with_key(stage), WRITTEN).toArrow()
        parts = msgspec.convert(written.to_pylist(), list[WrittenPart])
        return sorted(parts, key=lambda part: part.part)

    def _new_prefix(self, model: Model, epoch: int) -> str:
        """S3 URI below which no other attempt writes."""
        folder = training_prefix(self._pipeline.name, model.name, epoch)
        return f"s3://{self._mesh.bucket}/{folder}/{uuid.uuid4().hex}"

    def _features(
        self,
        model: Model,
        number: int,
        epoch: int,
        questions: DataFrame,
        bounds: list[int],
    ) -> DataFrame:
        view: View = model.views[number]
        events = self._history.rows(view.source, epoch).select(KNOWN, POSITION, *needed([view]))
        asked = questions.select(ROW, AT, *view.by)
        stage = ViewFeatures(view, number, bounds)
        return (
            self._parted(asked, view.by)
            .cogroup(self._parted(events, view.by))
            .applyInArrow(_function(stage), FEATURES)
        )

    def _parted(self, frame: DataFrame, by: tuple[str, ...]) -> Any:
        """Groups that hold whole keys."""
        return frame.groupBy(
            F.pmod(F.hash(*by), F.lit(self._knobs.shuffle_partitions)).alias("_group")
        )

    def _published(
        self,
        model: Model,
        epoch: int,
        written: list[WrittenPart],
        split: Split,
        at: np.ndarray,
    ) -> TrainingSetPublished:
        return TrainingSetPublished(
            model=model.name,
            epoch=epoch,
            files=references(written),
            columns=written[0].columns,
            digest=set_digest(written),
            rows=sum(part.rows for part in written),
            first_at_us=int(at[0]),
            last_at_us=int(at[-1]),
            statistics_uri=self._with_statistics(written, split),
            definition_digest=self._pipeline.digest,
        )

    def _with_statistics(self, written: list[WrittenPart], split: Split) -> str:
        """Write the statistics beside the files; return their S3 URI."""
        tallies = (msgspec.msgpack.decode(part.tally, type=Tally) for part in written)
        folder = written[0].uri.rsplit("/", 1)[0]
        uri = f"{folder}/{training_statistics.FILE_NAME}"
        document = training_statistics.encode(merge_tallies(tallies).statistics(split))
        ObjectStore(self._mesh).put_uri(uri, document)
        return uri


def references(written: list[WrittenPart]) -> list[FileRef]:
    """The files of a set, numbered in the order of time."""
    return [
        FileRef(
            uri=part.uri,
            sha256=part.sha256,
            size_bytes=part.size_bytes,
            rows=part.rows,
            partition=number,
        )
        for number, part in enumerate(written)
    ]


def set_digest(written: list[WrittenPart]) -> str:
    """SHA-256 hex over the digests of the files, in their order, and the columns' names."""
    said = [FORMAT, written[0].columns, [part.digest for part in written]]
    return hashlib.sha256(msgspec.json.encode(said)).hexdigest()


def _function(stage: Any) -> Any:
    """Spark counts a function's parameters to see whether it wants the group's key,
    and counts an object's `self` as one.
    """

    def run(left: pa.Table, right: pa.Table) -> pa.Table:
        return stage(left, right)

    return run


def _function_with_key(stage: Any) -> Any:
    """See `_function`."""

    def run(
        key: tuple[pa.Scalar, ...],
        left: pa.Table,
        right: pa.Table,
    ) -> pa.Table:
        return stage(key, left, right)

    return run


def file_bounds(
    at: np.ndarray,
    counts: np.ndarray,
    rows: int,
) -> list[int]:
    """Moments at which a new file begins, so that each holds about `rows` rows and no moment is in
    two.
    """
    before = np.cumsum(counts) - counts
    number = before // rows
    return [int(at[i]) for i in range(1, len(at)) if number[i] != number[i - 1]]


def _part_of(bounds: list[int]) -> Column:
    """The number of the file that holds a moment."""
    if not bounds:
        return F.lit(0)
    return F.expr(
        f"cast(size(filter(array({', '.join(f'{b}L' for b in bounds)}), b -> b <= {AT})) as int)"
    )
