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

from preprocess_svc.batch.folding.fold_views import needed
from preprocess_svc.batch.history.rows import KNOWN, POSITION, ddl
from preprocess_svc.batch.history.table import History
from preprocess_svc.batch.spark.context import Context
from preprocess_svc.batch.training_sets.assembly import WRITTEN, Assemble
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
            at, counts = moments[AT].to_numpy(), moments["count"].to_numpy()
            bounds, split = (
                file_bounds(at, counts, self._knobs.rows_per_file),
                split_by_time(at, counts),
            )
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
    ) -> list[dict[str, Any]]:
        """Files of the set in the order of time."""
        prefix = f"s3://{self._mesh.bucket}/{training_prefix(self._pipeline.name, model.name, epoch)}/{uuid.uuid4().hex}"
        features = reduce(
            DataFrame.unionByName,
            (
                self._features(model, number, epoch, questions, bounds)
                for number in range(len(model.views))
            ),
        )
        part = _part_of(bounds)
        rows = questions.withColumn(PART, part).groupBy(PART).cogroup(features.groupBy(PART))
        written = rows.applyInArrow(
            _function_with_key(Assemble(self._mesh, model, split, prefix)), WRITTEN
        ).toArrow()
        return sorted(written.to_pylist(), key=lambda row: row["part"])

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
        written: list[dict[str, Any]],
        split: Split,
        at: np.ndarray,
    ) -> TrainingSetPublished:
        files = [
            FileRef(
                uri=w["uri"],
                sha256=w["sha256"],
                size_bytes=w["size_bytes"],
                rows=w["rows"],
                partition=i,
            )
            for i, w in enumerate(written)
        ]
        tallies = merge_tallies(msgspec.msgpack.decode(w["tally"], type=Tally) for w in written)
        folder = files[0].uri.rsplit("/", 1)[0]
        uri = f"{folder}/{training_statistics.FILE_NAME}"
        document = training_statistics.encode(tallies.statistics(split))
        ObjectStore(self._mesh).put_uri(uri, document)
        columns = list(written[0]["columns"])
        digest = hashlib.sha256(
            msgspec.json.encode([FORMAT, columns, [w["digest"] for w in written]])
        ).hexdigest()
        return TrainingSetPublished(
            model=model.name,
            epoch=epoch,
            files=files,
            columns=columns,
            digest=digest,
            rows=sum(f.rows for f in files),
            first_at_us=int(at[0]),
            last_at_us=int(at[-1]),
            statistics_uri=uri,
            definition_digest=self._pipeline.digest,
        )


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
