"""A table of the metastore over each training set that is kept."""

from __future__ import annotations

import re
from collections.abc import Collection

from preprocess_svc.batch.spark.context import Context
from preprocess_svc.batch.spark.table_names import quoted
from schemas.events import TrainingSetPublished
from schemas.topics import training_table


class TrainingTables:
    """Of a pipeline's models. The files are not theirs: a table that goes leaves them."""

    def __init__(self, context: Context) -> None:
        self._spark = context.spark
        self._pipeline = context.pipeline.name

    def point(self, published: TrainingSetPublished) -> None:
        """Make the table of a set, over its files."""
        name = quoted(training_table(self._pipeline, published.model, published.epoch))
        folder = published.files[0].uri.rsplit("/", 1)[0].replace("s3://", "s3a://", 1)
        self._spark.sql(f"DROP TABLE IF EXISTS {name}")
        self._spark.sql(f"CREATE TABLE {name} USING parquet LOCATION '{folder}'")

    def keep(self, model: str, epochs: Collection[int]) -> None:
        """Drop the tables of all others of the model."""
        database, name = training_table(self._pipeline, model, 0).split(".")
        ours = re.compile(name.removesuffix("0") + "([0-9]+)")
        for row in self._spark.sql(f"SHOW TABLES IN {quoted(database)}").collect():
            found = ours.fullmatch(row["tableName"])
            if found is not None and int(found[1]) not in epochs:
                self._spark.sql(f"DROP TABLE IF EXISTS {quoted(f'{database}.{found[0]}')}")
