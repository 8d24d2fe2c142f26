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
    reasons = [row.reason.encode(errors="replace").decode() for row in bad]
    columns = (
        [row.number for row in bad],
        [row.where for row in bad],
        [row.original for row in bad],
        reasons,
    )
    arrays = [pa.array(cells, kind) for cells, kind in zip(columns, BAD_ROWS.types, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=BAD_ROWS)


def read_bad_rows(path: Path) -> Iterator[BadRow]:
    with pa.memory_map(str(path)) as mapped, pa.ipc.open_stream(mapped) as reader:
        for batch in reader:
            yield from map(BadRow, *(column.to_pylist() for column in batch.columns))
