"""Builds a training set: for each labelled question of the spine what the views would have answered
then, from what was known then.
"""

# Three Spark stages: outcomes joined to questions, features of each view by key,
# rows put together by time.

from __future__ import annotations

import hashlib
import uuid
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame

from preprocess_svc.batch.history.rows import POSITION, ddl
from preprocess_svc.batch.history.table import History
from preprocess_svc.batch.spark.context import Context
from preprocess_svc.batch.training_sets.assembly import WRITTEN, Assemble, WrittenPart
from preprocess_svc.batch.training_sets.outcomes import Outcomes
from preprocess_svc.batch.training_sets.parts import TimeParts, file_bounds
from preprocess_svc.batch.training_sets.questions import PART
from preprocess_svc.batch.training_sets.statistics import Tally, merge_tallies
from preprocess_svc.batch.training_sets.view_joins import ViewJoins, function_of, parted
from schemas.events import FileRef, TrainingSetPublished
from schemas.topics import training_prefix
from twinstream.define import Model
from twinstream.mesh.object_store import ObjectStore
from twinstream.protocol import training_statistics
from twinstream.protocol.training_columns import AT
from twinstream.protocol.training_split import Split, split_by_time

FORMAT = 1


class TrainingSets:
    """Builds the training sets of a pipeline's models from its history."""

    def __init__(self, context: Context, history: History) -> None:
        self._context = context
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
        label, groups = model.label, self._knobs.shuffle_partitions
        stage = Outcomes(model, as_of_us)
        asked = self._history.rows(model.spine, epoch).select(POSITION, *stage.spine_fields)
        outcomes = self._history.rows(label.source, epoch).select(POSITION, *stage.label_fields)
        return (
            parted(asked, label.on, groups)
            .cogroup(parted(outcomes, label.on, groups))
            .applyInArrow(function_of(stage), ddl(stage.schema))
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
        parts = TimeParts(bounds)
        joins = ViewJoins(self._context, self._history, epoch)
        features = joins.answers(model, questions, parts)
        of_parts = questions.withColumn(PART, parts.column).groupBy(PART)
        rows = of_parts.cogroup(features.groupBy(PART))
        stage = Assemble(self._mesh, model, split, self._new_prefix(model, epoch))
        written = rows.applyInArrow(_function_with_key(stage), WRITTEN).toArrow()
        found = msgspec.convert(written.to_pylist(), list[WrittenPart])
        return sorted(found, key=lambda part: part.part)

    def _new_prefix(self, model: Model, epoch: int) -> str:
        """S3 URI below which no other attempt writes."""
        folder = training_prefix(self._pipeline.name, model.name, epoch)
        return f"s3://{self._mesh.bucket}/{folder}/{uuid.uuid4().hex}"

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


def _function_with_key(stage: Any) -> Any:
    """See `function_of`."""

    def run(
        key: tuple[pa.Scalar, ...],
        left: pa.Table,
        right: pa.Table,
    ) -> pa.Table:
        return stage(key, left, right)

    return run
