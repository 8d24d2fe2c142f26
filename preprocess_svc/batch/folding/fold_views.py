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
