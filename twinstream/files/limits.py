"""What it may cost to read one file: bounds that are checked before it is read, and one that holds
while it is.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from twinstream.files.parts import UnreadableFileError

ROWS_PER_BYTE, FREE_ROWS = 100, 10_000_000
"""Ids differ from row to row, so even a well compressed file has fewer rows for each of its bytes;
so many rows it may have anyway.
"""
WIDTHS = {"BOOLEAN": 1, "INT32": 4, "INT64": 8, "INT96": 12, "FLOAT": 4, "DOUBLE": 8}
"""Bytes of a value in memory by Parquet's physical type; a text takes four at least,
for its offset.
"""
OFFSET_BYTES = 4


def check_rows(rows: int, size_bytes: int) -> None:
    """Raise UnreadableFileError when a footer names so many rows that the file was made to fill a
    disk.
    """
    if rows > max(FREE_ROWS, ROWS_PER_BYTE * size_bytes):
        raise UnreadableFileError(
            f"its footer says {rows} rows in {size_bytes} bytes, more than {ROWS_PER_BYTE} a byte: "
            "is it a file of equal values? Write it with less compression, or in parts"
        )


def check_expansion(
    metadata: Any,
    wanted: Collection[str],
    most_bytes: int,
) -> None:
    """Raise UnreadableFileError when the columns of `wanted` expand to more than `most_bytes`,
    by a Parquet footer's own figures.
    """
    found = sum(
        max(column.total_uncompressed_size, column.num_values * _width(column.physical_type))
        for group in (metadata.row_group(i) for i in range(metadata.num_row_groups))
        for column in (group.column(i) for i in range(group.num_columns))
        if column.path_in_schema.split(".")[0] in wanted
    )
    if found > most_bytes:
        raise too_large(found, most_bytes)


def too_large(found: int, most_bytes: int) -> UnreadableFileError:
    """For a file that expands to more than a setting allows."""
    return UnreadableFileError(
        f"its declared columns expand to {found} bytes or more, at most {most_bytes} are taken "
        "(TWINSTREAM_BATCH_FILE_EXPANDED_BYTES): send it in parts"
    )


def _width(physical_type: str) -> int:
    return WIDTHS.get(physical_type, OFFSET_BYTES)


@contextmanager
def limited_memory(most_bytes: int) -> Iterator[None]:
    """So much more memory than now, at most, for this process while the block runs;
    then UnreadableFileError, and the process lives on.

    A kernel that has no such limit, or a lower one of its own, is left alone.
    """
    try:
        with _address_space(most_bytes):
            yield
    except MemoryError as error:
        raise UnreadableFileError(
            f"reading it takes more than {most_bytes} bytes of memory "
            "(TWINSTREAM_BATCH_FILE_MEMORY_BYTES): write it with shorter values, "
            "or in smaller row groups"
        ) from error


@contextmanager
def _address_space(most_bytes: int) -> Iterator[None]:
    if sys.platform != "linux":
        yield
        return
    import resource

    wanted = _mapped_bytes() + most_bytes
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    if any(bound != resource.RLIM_INFINITY and bound < wanted for bound in (soft, hard)):
        yield
        return
    resource.setrlimit(resource.RLIMIT_AS, (wanted, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _mapped_bytes() -> int:
    """The address space of this process, on Linux."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    return pages * os.sysconf("SC_PAGE_SIZE")
