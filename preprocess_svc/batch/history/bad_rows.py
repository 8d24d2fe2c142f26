"""Rows of a file that do not count, on their way to the dead letters: over the disk, so that a file
of nothing else needs no memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from twinstream.files.parts import BadRow

BAD_ROWS = pa.schema(
    [
        ("number", pa.int64()),
        ("where", pa.string()),
        ("original", pa.large_binary()),
        ("reason", pa.string()),
    ]
)


def bad_batch(bad: list[BadRow]) -> pa.RecordBatch:
    """Bad rows on their way to the disk, where a file of nothing else needs no memory."""
    texts = [(row.where, row.reason.encode(errors="replace").decode()) for row in bad]
    return pa.RecordBatch.from_arrays(
        [
            pa.array([row.number for row in bad], pa.int64()),
            pa.array([where for where, _ in texts], pa.string()),
            pa.array([row.original for row in bad], pa.large_binary()),
            pa.array([reason for _, reason in texts], pa.string()),
        ],
        schema=BAD_ROWS,
    )


def read_bad_rows(path: Path) -> Iterator[BadRow]:
    with pa.memory_map(str(path)) as mapped, pa.ipc.open_stream(mapped) as reader:
        for batch in reader:
            yield from map(BadRow, *(column.to_pylist() for column in batch.columns))
