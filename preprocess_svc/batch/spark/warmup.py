"""Runs one small job of each kind at the start, so that the first epoch does not pay for class
loading, Python workers and compiled loops.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa
from pyspark.sql import SparkSession

from twinstream.algebra import kernel
from twinstream.algebra.plan import ViewPlan
from twinstream.define import Pipeline, View
from twinstream.define.compiled import cells
from twinstream.files import csv_scan


class WarmUp:
    """Loads the algebra and the readers of files in a Python worker."""

    def __init__(self, views: list[View]) -> None:
        self._views = views

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for view in self._views:
            kernel.warm_up(ViewPlan(view))
        cells.warm_up()
        csv_scan.warm_up()
        yield from batches


def run(spark: SparkSession, pipeline: Pipeline) -> None:
    """A few seconds."""
    for view in pipeline.views:
        kernel.warm_up(ViewPlan(view))
    tasks = spark.sparkContext.defaultParallelism
    spark.range(0, tasks, 1, tasks).mapInArrow(WarmUp(list(pipeline.views)), "id bigint").groupBy(
        "id"
    ).count().toArrow()
