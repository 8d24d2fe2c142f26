"""A batch of scores: rows to questions, questions to answers, answers to predictions; then whole at
once.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec
import pyarrow as pa
from pyspark.sql import DataFrame

from preprocess_svc.batch.history.table import History
from preprocess_svc.batch.scoring.asking import (
    ALL_US,
    ASKED,
    Ask,
    AskedPart,
    UntimedRows,
    WorkFolders,
    part_file,
    question_ddl,
    question_schema,
)
from preprocess_svc.batch.scoring.files import Files, for_spark, is_s3
from preprocess_svc.batch.scoring.hive import ScoreTable
from preprocess_svc.batch.scoring.origin import Origin, promoted_json
from preprocess_svc.batch.scoring.plan import ScorePlan
from preprocess_svc.batch.scoring.scoring import (
    SCORED,
    Chosen,
    Score,
    ScoredPart,
    loaded,
    whole_digest,
)
from preprocess_svc.batch.spark.context import Context
from preprocess_svc.batch.spark.working_folder import working_folder
from preprocess_svc.batch.training_sets.features import ANSWERS_SCHEMA
from preprocess_svc.batch.training_sets.parts import RowParts
from preprocess_svc.batch.training_sets.questions import PART
from preprocess_svc.batch.training_sets.view_joins import ViewJoins
from schemas.topics import score_prefix
from twinstream.errors import MeshError
from twinstream.mesh.object_store import split_uri
from twinstream.protocol.scores import PART_BITS, ScoreAnswer, ScoreFile, ScoreManifest

EXAMPLES = 5
Result = TypeVar("Result")


class StageResults(NamedTuple):
    """What the stages made, part by part in the spine's order."""

    asked: list[AskedPart]
    scored: list[ScoredPart]

    @property
    def bad_rows(self) -> int:
        """Rows that ask nothing."""
        return sum(part.bad for part in self.asked)

    @property
    def examples(self) -> list[str]:
        """Some of them, in words."""
        return [part.example for part in self.asked if part.bad][:EXAMPLES]


class ScoringJob:
    """Scores one spine; `seconds` says how long each stage took."""

    def __init__(
        self,
        context: Context,
        plan: ScorePlan,
        origin: Origin,
    ) -> None:
        self._context = context
        self._plan = plan
        self._origin = origin
        self._mesh = context.mesh
        self.seconds: dict[str, float] = {}

    def run(self) -> ScoreAnswer:
        """All of it. Raises SettingsError for a table that cannot be made, MeshError where a row is
        bad and none may be.
        """
        table = self._table()
        with self._folder() as folder, self._work(folder) as work:
            found = self._found(work)
            manifest = self._manifest(found)
            self._plan.output.finish(folder, manifest)
        out = self._plan.out
        if table is not None:
            table.point(out, manifest.digest)
        return ScoreAnswer(out=out, manifest=manifest, bad=found.examples, seconds=self.seconds)

    def _table(self) -> ScoreTable | None:
        """Of the metastore, if one is wanted and can be made."""
        request = self._plan.request
        if not request.table:
            return None
        table = ScoreTable(self._context.spark, request.table)
        table.refuse(overwrite=request.overwrite)
        return table

    @contextmanager
    def _folder(self) -> Iterator[Path]:
        """A local one, gone at the end: beside the output, where that is local."""
        out = self._plan.out
        beside = None if is_s3(out) else Path(out).parent
        if beside is not None:
            beside.mkdir(parents=True, exist_ok=True)
        with working_folder("score", beside) as folder:
            yield folder

    @contextmanager
    def _work(self, folder: Path) -> Iterator[WorkFolders]:
        """The folders of the stages, where all workers find them."""
        made = self._plan.output.begin(folder)
        if self._mesh.spark_master.startswith("local"):
            yield WorkFolders(f"{folder}/asked", f"{folder}/spine", made)
            return
        with self._work_on_s3() as aside:
            yield WorkFolders(f"{aside}/asked", f"{aside}/spine", made)

    @contextmanager
    def _work_on_s3(self) -> Iterator[str]:
        """Where the workers of a cluster find each other's files."""
        prefix = score_prefix(self._context.pipeline.name, self._plan.model.name)
        aside = f"s3://{self._mesh.bucket}/{prefix}/_work/{uuid.uuid4().hex}"
        files = Files(self._mesh)
        try:
            yield aside
        finally:
            for name in files.below(aside):
                files.store.delete(*split_uri(name))

    def _found(self, work: WorkFolders) -> StageResults:
        asked = self._timed("ask", lambda: self._asked(work))
        bad = StageResults(asked, [])
        if bad.bad_rows and self._plan.request.strict:
            raise MeshError(
                f"{bad.bad_rows} of {self._plan.spine.rows} rows are bad, and none may be with "
                f"--strict: {'; '.join(bad.examples)}"
            )
        return StageResults(asked, self._timed("score", lambda: self._scored(work, asked)))

    def _asked(self, work: WorkFolders) -> list[AskedPart]:
        units = self._plan.spine.units()
        if not units:
            return []
        stage = Ask(self._mesh, self._plan.model, units, self._moments(), work)
        numbers = self._context.spark.range(0, len(units), 1, len(units))
        found = numbers.mapInArrow(stage, ASKED)
        return _in_order(found, AskedPart)

    def _moments(self) -> UntimedRows:
        said = self._origin.said
        if said.asked_us is None:
            return UntimedRows(said.as_of_us, ALL_US)
        return UntimedRows(said.asked_us, said.asked_us)

    def _scored(self, work: WorkFolders, asked: list[AskedPart]) -> list[ScoredPart]:
        stage = self._stage(work)
        if not any(part.rows for part in asked):
            return [self._nothing(stage, work)]
        found = self._answers(work).groupBy(PART).applyInArrow(_with_key(stage), SCORED)
        return _in_order(found, ScoredPart)

    def _answers(self, work: WorkFolders) -> DataFrame:
        """Of all views to all questions, as training sets have them."""
        epoch = self._origin.said.release.epoch
        joins = ViewJoins(self._context, History(self._context), epoch)
        return joins.answers(self._plan.model, self._questions(work), RowParts(PART_BITS))

    def _questions(self, work: WorkFolders) -> DataFrame:
        reader = self._context.spark.read.schema(question_ddl(self._plan.model))
        return reader.parquet(for_spark(work.asked))

    def _stage(self, work: WorkFolders) -> Score:
        return Score(
            self._mesh,
            self._plan.model,
            self._chosen(),
            work,
            self._origin.said,
            with_features=self._plan.request.features,
        )

    def _chosen(self) -> Chosen:
        return Chosen(
            promoted_json(self._origin.promoted),
            self._plan.model.network.path,
            self._origin.said.release.definition,
        )

    def _nothing(self, stage: Score, work: WorkFolders) -> ScoredPart:
        """A file without rows, that has the columns: where no row asked anything."""
        files, asked = Files(self._mesh), question_schema(self._plan.model)
        for folder, schema in ((work.asked, asked), (work.spine, self._plan.spine.schema)):
            files.write(part_file(folder, 0), schema.empty_table(), kept=False)
        done = stage((pa.scalar(0),), ANSWERS_SCHEMA.empty_table())
        loaded.cache_clear()
        return msgspec.convert(done.to_pylist(), list[ScoredPart])[0]

    def _manifest(self, found: StageResults) -> ScoreManifest:
        request = self._plan.request
        return ScoreManifest(
            origin=self._origin.said,
            spine=request.spine,
            spine_rows=self._plan.spine.rows,
            rows=sum(part.rows for part in found.scored),
            bad_rows=found.bad_rows,
            digest=whole_digest(found.scored),
            files=[_file_of(part) for part in found.scored],
            table=request.table,
        )

    def _timed(self, stage: str, work: Callable[[], Result]) -> Result:
        started = time.monotonic()
        result = work()
        self.seconds[stage] = round(time.monotonic() - started, 3)
        return result


def _file_of(part: ScoredPart) -> ScoreFile:
    return ScoreFile(
        path=part_file("", part.part).lstrip("/"),
        rows=part.rows,
        size_bytes=part.size_bytes,
        sha256=part.sha256,
    )


def _in_order(frame: DataFrame, kind: type[Result]) -> list[Result]:
    """What workers told, by part."""
    rows = frame.toArrow().sort_by("part").to_pylist()
    return msgspec.convert(rows, list[kind])  # type: ignore[valid-type]


def _with_key(stage: Any) -> Callable[[tuple[pa.Scalar, ...], pa.Table], pa.Table]:
    """Spark counts a function's parameters to see whether it wants the group's key."""

    def run(key: tuple[pa.Scalar, ...], answers: pa.Table) -> pa.Table:
        return stage(key, answers)

    return run
