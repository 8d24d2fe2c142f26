"""Folds the new rows of all sources into the batch views, in one Spark job:
lift, shuffle by target partition, merge with the base before.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce

from pyspark.sql import DataFrame

from preprocess_svc.batch.folding.fold import Fold
from preprocess_svc.batch.folding.lifting import STATES, Lift, to_lift
from preprocess_svc.batch.folding.writing import WRITTEN, Folded, MergeAndWrite, folded
from preprocess_svc.batch.history.map_files import map_files
from preprocess_svc.batch.spark.context import Context

NumberedFiles = list[tuple[list[str], list[int]]]


def fold(
    context: Context,
    folds: list[Fold],
    rows: Mapping[str, NumberedFiles],
) -> Folded:
    """Fold new rows onto the bases before, and write the new ones to S3.

    `rows`: per source, URIs of files of the history with the numbers (in `folds`) of the views that
    take them.
    """
    partitions = context.mesh.partitions
    lifted = [
        _lifted(context, folds, files, numbers)
        for parts in rows.values()
        for files, numbers in parts
        if files and numbers
    ]
    every = _every(context, len(folds) * partitions)
    written = _merged(context, folds, reduce(DataFrame.unionByName, lifted, every))
    return folded(written.toArrow().to_pylist(), [f.view.name for f in folds], partitions)


def _lifted(
    context: Context,
    folds: list[Fold],
    files: list[str],
    numbers: list[int],
) -> DataFrame:
    """States of the rows of some files, for the views that take them."""
    fields = to_lift([folds[n].view for n in numbers])
    lift = Lift(folds, numbers, context.mesh.partitions)
    return map_files(context, files, fields, lift, STATES)


def _every(context: Context, groups: int) -> DataFrame:
    """Each group once, without states: one to which nothing comes is written too."""
    return context.spark.range(0, groups, 1, 1).selectExpr(
        "cast(id as int) as group",
        "cast(null as binary) as first_key",
        "cast(null as binary) as part",
    )


def _merged(
    context: Context,
    folds: list[Fold],
    states: DataFrame,
) -> DataFrame:
    by_group = states.repartitionById(len(folds) * context.mesh.partitions, "group")
    in_order = by_group.sortWithinPartitions("group", "first_key")
    return in_order.mapInArrow(MergeAndWrite(context.mesh, folds), WRITTEN)
