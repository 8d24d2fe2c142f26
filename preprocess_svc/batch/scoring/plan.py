"""What is to be scored, checked before Spark starts: the spine's columns, where its scores go, the
moment of rows without one.
"""

from __future__ import annotations

import re
import uuid
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from preprocess_svc.batch.scoring.files import Files, is_s3
from preprocess_svc.batch.scoring.output import Output, output_at
from preprocess_svc.batch.scoring.spine import SpineTable, look_at
from schemas.topics import score_prefix
from twinstream.define import Model, Pipeline, Timestamp
from twinstream.define.values import stored
from twinstream.errors import RecordError, SettingsError
from twinstream.features.table import TableForm
from twinstream.mesh.settings import MeshSettings
from twinstream.protocol.scores import (
    BATCH_SHAPE,
    FEATURES,
    MOMENT,
    PREDICTION,
    SPINE_ROW,
    ScoreRequest,
)

WHOLE = re.compile(r"-?[0-9]{1,18}")


class ScorePlan(NamedTuple):
    """A request that can be done, as far as is known without Spark."""

    request: ScoreRequest
    model: Model
    spine: SpineTable
    out: str
    output: Output
    asked_us: int | None


def score_plan(
    mesh: MeshSettings,
    pipeline: Pipeline,
    request: ScoreRequest,
) -> ScorePlan:
    """Raises SettingsError or DefinitionError for what is asked wrongly, in words."""
    model = pipeline.model(request.model)
    asked_us = _moment(request.at)
    out = _out(mesh, pipeline, request)
    output = output_at(Files(mesh), out, overwrite=request.overwrite)
    output.refuse()
    spine = _spine(mesh, request, out)
    _check_columns(model, spine, request)
    return ScorePlan(request, model, spine, out, output, asked_us)


def _spine(
    mesh: MeshSettings,
    request: ScoreRequest,
    out: str,
) -> SpineTable:
    place = _place(mesh, request.spine, "spine")
    if place == out or place.startswith(f"{out}/"):
        raise SettingsError(f"the spine lies in {out}, which its scores would replace")
    return look_at(Files(mesh), place)


def _moment(text: str) -> int | None:
    """UTC microseconds, as the predictor takes them."""
    if not text:
        return None
    try:
        return int(stored(Timestamp(), int(text) if WHOLE.fullmatch(text) else text))
    except RecordError as error:
        raise SettingsError(f"--at {text!r}: {error}") from error


def _out(
    mesh: MeshSettings,
    pipeline: Pipeline,
    request: ScoreRequest,
) -> str:
    if request.out:
        return _place(mesh, request.out, "out")
    if not request.table:
        raise SettingsError("give --out, a folder here or on S3, or --table")
    prefix = score_prefix(pipeline.name, request.model)
    return f"s3://{mesh.bucket}/{prefix}/{uuid.uuid4().hex}"


def _place(
    mesh: MeshSettings,
    given: str,
    option: str,
) -> str:
    """An S3 URI, or an absolute path where Spark's workers are on this machine."""
    if is_s3(given):
        return given.replace("s3a://", "s3://", 1).rstrip("/")
    if not mesh.spark_master.startswith("local"):
        raise SettingsError(
            f"--{option} {given} is on this machine, Spark's workers are at {mesh.spark_master}: "
            "give a place on S3"
        )
    return str(Path(given).expanduser().absolute())


def _check_columns(
    model: Model,
    spine: SpineTable,
    request: ScoreRequest,
) -> None:
    counts = Counter(spine.schema.names)
    if twice := [name for name, count in counts.items() if count > 1]:
        raise SettingsError(f"the spine has several columns of one name: {', '.join(twice)}")
    ours = {PREDICTION, MOMENT, SPINE_ROW, BATCH_SHAPE, *([FEATURES] * request.features)}
    if taken := sorted(ours & set(counts)):
        raise SettingsError(
            f"the spine has columns that scores are written to: {', '.join(taken)}; rename them"
        )
    try:
        TableForm(model).check_schema(spine.schema)
    except RecordError as error:
        raise SettingsError(f"the spine: {error}") from error
