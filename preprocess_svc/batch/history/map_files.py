"""Reads the history's Parquet files inside the Python workers: rows that only an Arrow function
wants need not pass through the JVM row by row.
"""

# A hot loop: that passage was half the time of a fold (`benchmarks.fold`).

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import pyarrow as pa
import pyarrow.parquet as pa_parquet
from pyspark.sql import DataFrame

from preprocess_svc.batch.spark.context import Context
from twinstream.mesh.object_store import ObjectStore
from twinstream.mesh.ranged_file import RangedFile
from twinstream.mesh.settings import MeshSettings

BATCH_ROWS = 131_072
READ_BYTES = 8 * 1024 * 1024
TASKS_A_CORE = 4
"""As far as there are files: a large one then delays little."""

Function = Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]


def map_files(
    context: Context,
    files: list[str],
    columns: list[str],
    function: Function,
    schema: str,
) -> DataFrame:
    """What a function of batches makes of these columns of one or more files;
    each task reads some of them.
    """
    tasks = min(len(files), TASKS_A_CORE * context.spark.sparkContext.defaultParallelism)
    read = Read(context.mesh, [files[number::tasks] for number in range(tasks)], columns)
    return context.spark.range(0, tasks, 1, tasks).mapInArrow(
        lambda numbers: function(read(numbers)), schema
    )


class Read:
    """Numbers of tasks to the batches of their files."""

    def __init__(
        self,
        mesh: MeshSettings,
        files: list[list[str]],
        columns: list[str],
    ) -> None:
        self._mesh = mesh
        self._files = files
        self._columns = columns

    def __call__(self, numbers: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        store = ObjectStore(self._mesh)
        for batch in numbers:
            for number in batch["id"].to_pylist():
                for uri in self._files[number]:
                    yield from read(store, uri, self._columns)


def read(
    store: ObjectStore,
    uri: str,
    columns: list[str],
) -> Iterator[pa.RecordBatch]:
    """Batches of these columns of one file, a bounded part at a time;
    raises KeyError for a column that it does not have.
    """
    with pa_parquet.ParquetFile(
        RangedFile(store, uri, store.head_uri(uri).size_bytes), buffer_size=READ_BYTES
    ) as file:
        if missing := set(columns) - set(file.schema_arrow.names):
            raise KeyError(f"{uri} has no column {', '.join(sorted(missing))}")
        yield from file.iter_batches(BATCH_ROWS, columns=columns, use_threads=False)
