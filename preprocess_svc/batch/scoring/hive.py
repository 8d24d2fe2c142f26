"""A table of the metastore over a folder of scores. One that this command did not make is never
replaced.
"""

from __future__ import annotations

import re

from pyspark.sql import SparkSession

from preprocess_svc.batch.scoring.files import for_spark
from twinstream.errors import SettingsError

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*\.[A-Za-z][A-Za-z0-9_]*")
MADE_BY = "twinstream.score"
"""A property of every table that this command makes."""


class ScoreTable:
    """`database.table`; raises SettingsError for what cannot be a table's name."""

    def __init__(self, spark: SparkSession, name: str) -> None:
        if not NAME.fullmatch(name):
            raise SettingsError(
                f"--table {name!r} is not a table's name: write database.table, in letters, digits"
                " and underscores"
            )
        self._spark = spark
        self._name = name

    def refuse(self, *, overwrite: bool) -> None:
        """Raises SettingsError when its database is missing, or it is there and may not be
        replaced.
        """
        self._refuse_database(self._name.split(".")[0])
        if not self._spark.catalog.tableExists(self._name):
            return
        if not overwrite:
            raise SettingsError(
                f"table {self._name} is there already: give another --table, or --overwrite"
            )
        properties = self._spark.sql(f"SHOW TBLPROPERTIES {self._name}").collect()
        if MADE_BY not in {row["key"] for row in properties}:
            raise SettingsError(
                f"table {self._name} was not made by twinstream score: give another --table"
            )

    def _refuse_database(self, database: str) -> None:
        catalog = self._spark.catalog
        if not catalog.databaseExists(database):
            there = ", ".join(found.name for found in catalog.listDatabases())
            raise SettingsError(f"--table: there is no database {database!r}; there are: {there}")

    def point(self, out: str, digest: str) -> None:
        """Make it, over these files; one that was there is forgotten, its files are not touched."""
        place = for_spark(out).replace("\\", "\\\\").replace("'", "\\'")
        self._spark.sql(f"DROP TABLE IF EXISTS {self._name}")
        self._spark.sql(
            f"CREATE TABLE {self._name} USING parquet LOCATION '{place}' "
            f"TBLPROPERTIES ('{MADE_BY}'='{digest}')"
        )
