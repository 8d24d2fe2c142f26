"""Builds a training set: for each labelled question of the spine what the views would have answered
then, from what was known then.
"""

# Three Spark stages: outcomes joined to questions, features of each view by key,
# rows put together by time.

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql.pandas.group_ops import PandasCogroupedOps

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
from twinstream.define import Model, Source
from twinstream.features.inputs import Inputs
from twinstream.mesh.object_store import ObjectStore
from twinstream.protocol import training_manifest, training_statistics
from twinstream.protocol.training_columns import AT
from twinstream.protocol.training_manifest import (
    ManifestColumn,
    ManifestFile,
    TrainingManifest,
    spans_of,
)
from twinstream.protocol.training_split import Split, declared_split

FORMAT = 2


class TrainingCut(NamedTuple):
    """What a set was built as of, and where it is split."""

    epoch: int
    as_of_us: int
    split: Split
    parts: dict[str, tuple[int, int]]
    first_at_us: int
    last_at_us: int

    @classmethod
    def of(
        cls,
        model: Model,
        at_epoch: tuple[int, int],
        at: np.ndarray,
        counts: np.ndarray,
    ) -> TrainingCut:
        """Of an epoch and its time; of questions at these moments, ascending, and how many each
        has.
        """
        split = declared_split(model.split, model.label.horizon_us, at, counts)
        parts = spans_of(split, at, counts)
        return cls(*at_epoch, split, parts, int(at[0]), int(at[-1]))


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
            at, counts = moments[AT].to_numpy(), moments["count"].to_numpy()
            cut = TrainingCut.of(model, (epoch, as_of_us), at, counts)
            bounds = file_bounds(at, counts, self._knobs.rows_per_file)
            return self._published(model, cut, self._written(model, cut, questions, bounds))
        finally:
            questions.unpersist()

    def _questions(
        self,
        model: Model,
        epoch: int,
        as_of_us: int,
    ) -> DataFrame:
        """Spine rows with their outcome, one task a part of the `on` keys."""
        on, groups = model.label.on, self._knobs.shuffle_partitions
        stage = Outcomes(model, as_of_us)
        asked = self._columns(model.spine, epoch, stage.spine_fields)
        outcomes = self._columns(model.label.source, epoch, stage.label_fields)
        pairs = parted(asked, on, groups).cogroup(parted(outcomes, on, groups))
        return pairs.applyInArrow(function_of(stage), ddl(stage.schema))

    def _columns(
        self,
        source: Source,
        epoch: int,
        fields: Iterable[str],
    ) -> DataFrame:
        return self._history.rows(source, epoch).select(POSITION, *fields)

    def _written(
        self,
        model: Model,
        cut: TrainingCut,
        questions: DataFrame,
        bounds: list[int],
    ) -> list[WrittenPart]:
        """Files of the set in the order of time."""
        rows = self._rows(model, cut, questions, TimeParts(bounds))
        prefix = self._new_prefix(model, cut.epoch)
        stage = Assemble(self._mesh, model, cut.split, prefix)
        written = rows.applyInArrow(_function_with_key(stage), WRITTEN).toArrow().to_pylist()
        return sorted(msgspec.convert(written, list[WrittenPart]), key=lambda part: part.part)

    def _rows(
        self,
        model: Model,
        cut: TrainingCut,
        questions: DataFrame,
        parts: TimeParts,
    ) -> PandasCogroupedOps:
        """Questions beside what the views answered, by parts of time."""
        joins = ViewJoins(self._context, self._history, cut.epoch)
        features = joins.answers(model, questions, parts)
        of_parts = questions.withColumn(PART, parts.column).groupBy(PART)
        return of_parts.cogroup(features.groupBy(PART))

    def _new_prefix(self, model: Model, epoch: int) -> str:
        """S3 URI below which no other attempt writes."""
        folder = training_prefix(self._pipeline.name, model.name, epoch)
        return f"s3://{self._mesh.bucket}/{folder}/{uuid.uuid4().hex}"

    def _published(
        self,
        model: Model,
        cut: TrainingCut,
        written: list[WrittenPart],
    ) -> TrainingSetPublished:
        manifest = self._manifest(model, cut, written)
        self._put_beside(written, training_manifest.FILE_NAME, training_manifest.encode(manifest))
        return TrainingSetPublished(
            model=model.name,
            epoch=cut.epoch,
            files=references(written),
            columns=written[0].columns,
            digest=manifest.digest,
            rows=manifest.rows,
            first_at_us=manifest.first_at_us,
            last_at_us=manifest.last_at_us,
            statistics_uri=self._with_statistics(written, cut.split),
            definition_digest=self._pipeline.digest,
        )

    def _manifest(
        self,
        model: Model,
        cut: TrainingCut,
        written: list[WrittenPart],
    ) -> TrainingManifest:
        return TrainingManifest(
            **cut._asdict(),
            pipeline=self._pipeline.name,
            model=model.name,
            definition_digest=self._pipeline.digest,
            digest=set_digest(written),
            rows=sum(part.rows for part in written),
            columns=manifest_columns(written),
            inputs=Inputs.of(model.inputs),
            files=[manifest_file(part) for part in written],
        )

    def _with_statistics(self, written: list[WrittenPart], split: Split) -> str:
        """Write the statistics beside the files; return their S3 URI."""
        tallies = (msgspec.msgpack.decode(part.tally, type=Tally) for part in written)
        document = training_statistics.encode(merge_tallies(tallies).statistics(split))
        return self._put_beside(written, training_statistics.FILE_NAME, document)

    def _put_beside(
        self,
        written: list[WrittenPart],
        name: str,
        document: bytes,
    ) -> str:
        """Write a document beside the folder of the files; return its S3 URI."""
        uri = f"{written[0].uri.rsplit('/', 2)[0]}/{name}"
        ObjectStore(self._mesh).put_uri(uri, document)
        return uri


def manifest_columns(written: list[WrittenPart]) -> list[ManifestColumn]:
    """The columns of a set, with the nulls of all its files."""
    nulls = training_manifest.added(part.nulls for part in written)
    first = written[0]
    described = zip(first.columns, first.types, nulls, strict=True)
    return [ManifestColumn(name=name, type=kind, nulls=count) for name, kind, count in described]


def manifest_file(part: WrittenPart) -> ManifestFile:
    """A file as the manifest lists it."""
    return ManifestFile(
        name=part.uri.rsplit("/", 1)[1],
        sha256=part.sha256,
        size_bytes=part.size_bytes,
        rows=part.rows,
    )


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
