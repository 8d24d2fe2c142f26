"""What every stage of the batch layer stands on."""

from __future__ import annotations

from typing import NamedTuple

from pyspark.sql import SparkSession

from preprocess_svc.batch.settings import BatchSettings
from twinstream.define import Pipeline
from twinstream.mesh.settings import MeshSettings


class Context(NamedTuple):
    """The session, where the mesh is, the knobs, and the definition."""

    spark: SparkSession
    mesh: MeshSettings
    knobs: BatchSettings
    pipeline: Pipeline
