"""The history: one Hive table a source on S3, all rows that count, partitioned by epoch.
An epoch is written once more after a crash.
"""

# Every attempt writes to a path of its own; the table's partition then points to it.

from __future__ import annotations

import re
import uuid
from typing import NamedTuple

from pyspark.sql import Column, DataFrame, Observation, Window
from pyspark.sql import functions as F  # noqa: N812

from preprocess_svc.batch.history.rows import EPOCH, KNOWN, POSITION, spark_schema
from preprocess_svc.batch.spark.context import Context
from preprocess_svc.batch.spark.table_names import quoted
from schemas.topics import history_path, history_table
from twinstream.define import Source
from twinstream.errors import MeshError
from twinstream.mesh.object_store import ObjectStore, split_uri
from twinstream.protocol.known_time import EARLIEST_US, agreed

FEW_ROWS = 500_000
"""So many new rows are sent to every task, rather than shuffling the whole history."""


class Landed(NamedTuple):
    """What an epoch added to one table: `rows`, the time that those of files agree on (EARLIEST_US:
    none), and where it lies.
    """

    rows: int
    files_us: int
    path: str


class History:
    """The history tables of a pipeline."""

    def __init__(self, context: Context) -> None:
        self._spark = context.spark
        self._mesh = context.mesh
        self._pipeline = context.pipeline
        self._store = ObjectStore(context.mesh)

    def ensure_tables(self) -> None:
        """Create the database and the tables that are missing."""
        for source in self._pipeline.sources:
            table, path = self._table(source), self._path(source)
            if self._spark.catalog.tableExists(table):
                continue
            database = table.split(".")[0]
            self._spark.sql(
                f"CREATE DATABASE IF NOT EXISTS `{database}` LOCATION "
                f"'s3a://{self._mesh.bucket}/{self._pipeline.name}'"
            )
            self._spark.sql(
                f"CREATE TABLE IF NOT EXISTS {quoted(table)} ({spark_schema(source)}, "
                f"`{EPOCH}` int) "
                f"USING parquet PARTITIONED BY (`{EPOCH}`) LOCATION '{path}'"
            )

    def rows(
        self,
        source: Source,
        epoch: int,
        *,
        since: int = 1,
    ) -> DataFrame:
        """All rows of epochs `since..epoch`."""
        found = self._spark.table(quoted(self._table(source)))
        return found.where(F.col(EPOCH).between(since, epoch))

    def files(
        self,
        source: Source,
        epoch: int,
        *,
        since: int = 1,
    ) -> list[str]:
        """URIs of the files that hold all rows of epochs `since..epoch`, and no other."""
        if epoch < since:
            return []
        found = sorted(self.rows(source, epoch, since=since).inputFiles())
        for uri in found:
            part = re.search(f"/{EPOCH}=([0-9]+)/", uri)
            if part is None or not since <= int(part[1]) <= epoch:
                raise MeshError(
                    f"Spark names {uri} for the epochs {since} to {epoch} of "
                    f"{source.name!r}: its partitions were not pruned"
                )
        return found

    def files_at(self, source: Source, path: str) -> list[str]:
        """URIs of the files of one attempt, whether the table points to them or not."""
        if not path:
            return []
        return sorted(self._spark.read.schema(spark_schema(source)).parquet(path).inputFiles())

    def append(
        self,
        source: Source,
        epoch: int,
        files: DataFrame | None,
        log: DataFrame | None,
    ) -> Landed:
        """Write the rows of an epoch, without those that came both in a file and live, to a new
        path; they are the table's only once `point` was called with it.
        """
        path = f"{self._path(source)}/{EPOCH}={epoch}/{uuid.uuid4().hex}"
        new = self._once_within(source, files, log)
        if new is None:
            return Landed(0, EARLIEST_US, "")
        if epoch == 1:
            return _written(new, path)
        new = new.persist()
        landed = _written(self._not_before(source, epoch, new, live_only=files is None), path)
        new.unpersist()
        return landed

    @staticmethod
    def _once_within(
        source: Source,
        files: DataFrame | None,
        log: DataFrame | None,
    ) -> DataFrame | None:
        """The rows of one epoch: of one id all live ones, or else the first of the files.

        Live rows of one id are ingest's business: it drops those within the source's horizon,
        and keeps the others.
        """
        if files is None:
            return log
        return _live_or_first(source, files if log is None else files.unionByName(log))

    def _not_before(
        self,
        source: Source,
        epoch: int,
        new: DataFrame,
        *,
        live_only: bool,
    ) -> DataFrame:
        """Without files' rows whose id came before, and without live rows whose id came in a file
        of an earlier epoch.
        """
        ids = list(source.id_fields)
        old = self.rows(source, epoch - 1).select(*ids, POSITION)
        if live_only:
            old = old.where(F.col(POSITION) < 0)
        first = _first_positions(old, new, ids)
        keep = F.col("_before").isNull() | ((F.col(POSITION) >= 0) & (F.col("_before") >= 0))
        return new.join(first, ids, "left").where(keep).select(*new.columns)

    def point(
        self,
        source: Source,
        epoch: int,
        path: str,
    ) -> None:
        """Make the rows at a path the partition of the epoch; "": there are none."""
        table, partition = quoted(self._table(source)), f"PARTITION (`{EPOCH}`={epoch})"
        if not path:
            self._spark.sql(f"ALTER TABLE {table} DROP IF EXISTS {partition}")
            return
        self._spark.sql(f"ALTER TABLE {table} ADD IF NOT EXISTS {partition} LOCATION '{path}'")
        self._spark.sql(f"ALTER TABLE {table} {partition} SET LOCATION '{path}'")

    def sweep(self, source: Source, epoch: int) -> None:
        """Delete what other attempts at this epoch left behind; only once the epoch is
        published.
        """
        bucket, prefix = split_uri(f"{self._path(source)}/{EPOCH}={epoch}/")
        kept = self._location(source, epoch)
        for key in self._store.list(bucket, prefix):
            if kept is None or f"/{key.removeprefix(prefix).split('/')[0]}" not in kept:
                self._store.delete(bucket, key)

    def _location(self, source: Source, epoch: int) -> str | None:
        """Where the partition of an epoch lies; None: the epoch brought no row."""
        table = quoted(self._table(source))
        present = self._spark.sql(f"SHOW PARTITIONS {table} PARTITION (`{EPOCH}`={epoch})").count()
        if not present:
            return None
        rows = self._spark.sql(
            f"DESCRIBE FORMATTED {table} PARTITION (`{EPOCH}`={epoch})"
        ).collect()
        return next(str(row["data_type"]) for row in rows if row["col_name"] == "Location")

    def _table(self, source: Source) -> str:
        return history_table(self._pipeline.name, source.name)

    def _path(self, source: Source) -> str:
        return history_path(self._mesh.bucket, self._pipeline.name, source.name).replace(
            "s3://", "s3a://", 1
        )


def _live_or_first(source: Source, rows: DataFrame) -> DataFrame:
    live = F.col(POSITION) >= 0
    order = F.struct(F.col(POSITION) < 0, F.col(POSITION))
    first = F.min(order).over(Window.partitionBy(*source.id_fields))
    kept = rows.withColumn("_first", first).where(live | (F.col("_first") == order))
    return kept.drop("_first")


def _written(rows: DataFrame, path: str) -> Landed:
    seen = Observation()
    observed = rows.observe(seen, F.count(F.lit(1)).alias("rows"), *_halves())
    observed.write.mode("errorifexists").parquet(path)
    count = int(seen.get["rows"])
    return Landed(count, agreed([seen.get["even"], seen.get["odd"]]), path if count else "")


def _first_positions(
    old: DataFrame,
    new: DataFrame,
    ids: list[str],
) -> DataFrame:
    """Of each id of `new` that is in `old`, its first position there."""
    fresh = new.select(*ids).distinct()
    found = old.join(F.broadcast(fresh) if new.count() <= FEW_ROWS else fresh, ids, "left_semi")
    return found.groupBy(*ids).agg(F.min(POSITION).alias("_before"))


def _halves() -> list[Column]:
    """The newest known time among the rows of files with an even, and with an odd position."""
    return [
        F.max(
            F.when(
                (F.col(POSITION) < 0) & (F.col(POSITION).bitwiseAND(F.lit(1)) == half), F.col(KNOWN)
            )
        ).alias(name)
        for half, name in enumerate(("even", "odd"))
    ]
