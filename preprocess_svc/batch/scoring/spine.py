"""A table of questions as it lies: Parquet files of one schema, cut into parts of so many rows,
whatever its row groups are.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pa_parquet

from preprocess_svc.batch.scoring.files import Files, is_s3
from twinstream.errors import MeshError, SettingsError
from twinstream.files.parquet_rows import readable
from twinstream.files.parts import UnreadableFileError
from twinstream.protocol.scores import PART_BITS

PART_ROWS = 1 << PART_BITS
UNIT_PARTS = 4
"""A task reads so many parts: of a large row group it reads what lies before them as well."""


class RowGroup(NamedTuple):
    """Group `number` of a file."""

    file: str
    number: int
    rows: int


class Unit(NamedTuple):
    """What one task reads: `rows` rows of these groups side by side, behind `skip` of the first.

    `first_row`: how many rows the spine has before them; `first_part`: the number of their first
    part.
    """

    groups: list[RowGroup]
    skip: int
    rows: int
    first_row: int
    first_part: int


class SpineTable(NamedTuple):
    """A table that was looked at: its schema, its row groups in order."""

    schema: pa.Schema
    groups: list[RowGroup]

    @property
    def rows(self) -> int:
        """How many there are, by the files' footers."""
        return sum(group.rows for group in self.groups)

    def units(self, unit_rows: int = UNIT_PARTS * PART_ROWS) -> list[Unit]:
        """All rows, each once; a unit has whole parts but for the last."""
        total = self.rows
        starts = range(0, total, unit_rows)
        return [self._unit(start, min(start + unit_rows, total)) for start in starts]

    def _unit(self, start: int, end: int) -> Unit:
        chosen: list[RowGroup] = []
        skip = before = 0
        for group in self.groups:
            if before < end and before + group.rows > start:
                skip = skip if chosen else start - before
                chosen.append(group)
            before += group.rows
        return Unit(chosen, skip, end - start, start, start // PART_ROWS)


def look_at(files: Files, place: str) -> SpineTable:
    """Reads the footers. Raises SettingsError for what is not there or not Parquet, and for files
    of different schemas.
    """
    names = _names(files, place)
    if not names:
        raise SettingsError(f"the spine {place} is not there, or a folder without Parquet files")
    schema: pa.Schema | None = None
    groups: list[RowGroup] = []
    for name in names:
        found, more = _footer(files, name)
        schema = schema or found
        if not found.equals(schema):
            raise SettingsError(
                f"{name} has other columns than {names[0]}: the files of a spine have one schema"
            )
        groups += more
    assert schema is not None
    return SpineTable(schema, groups)


def _names(files: Files, place: str) -> list[str]:
    """The file itself, or those below a folder whose names say that they are meant."""
    names = files.below(place)
    if not names and (is_s3(place) or Path(place).is_file()):
        names = [place]
    return [name for name in names if name == place or _is_meant(name[len(place) :])]


def _is_meant(inner: str) -> bool:
    """As Spark reads a folder: what begins with a dot or an underscore is bookkeeping."""
    parts = inner.strip("/").split("/")
    return parts[-1].endswith(".parquet") and not any(part.startswith(("_", ".")) for part in parts)


def _footer(files: Files, name: str) -> tuple[pa.Schema, list[RowGroup]]:
    try:
        with readable(), pa_parquet.ParquetFile(files.open(name)) as file:
            counts = [
                file.metadata.row_group(number).num_rows
                for number in range(file.metadata.num_row_groups)
            ]
            groups = [RowGroup(name, i, rows) for i, rows in enumerate(counts) if rows]
            return file.schema_arrow.remove_metadata(), groups
    except (MeshError, UnreadableFileError) as error:
        raise SettingsError(f"the spine {name} cannot be read: {error}") from error


def read_parts(files: Files, unit: Unit) -> Iterator[pa.Table]:
    """The rows of a unit, a part at a time: all of PART_ROWS but the last."""
    held: list[pa.RecordBatch] = []
    room = PART_ROWS
    for piece in _pieces(_rows(files, unit)):
        held.append(piece)
        room -= piece.num_rows
        if not room:
            yield pa.Table.from_batches(held).combine_chunks()
            held, room = [], PART_ROWS
    if held:
        yield pa.Table.from_batches(held).combine_chunks()


def _pieces(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same rows, none of them on both sides of a part's end."""
    passed = 0
    for batch in batches:
        at = 0
        while at < batch.num_rows:
            piece = batch.slice(at, PART_ROWS - passed % PART_ROWS)
            yield piece
            at += piece.num_rows
            passed += piece.num_rows


def _rows(files: Files, unit: Unit) -> Iterator[pa.RecordBatch]:
    """Batches of any size that hold the unit's rows."""
    skip, left = unit.skip, unit.rows
    for batch in _batches(files, unit.groups):
        passed = min(skip, batch.num_rows)
        skip -= passed
        taken = batch.slice(passed, left)
        left -= taken.num_rows
        if taken.num_rows:
            yield taken
        if not left:
            return
    raise MeshError(f"{unit.groups[0].file} has fewer rows than its footer said: did it change?")


def _batches(files: Files, groups: list[RowGroup]) -> Iterator[pa.RecordBatch]:
    for group in groups:
        with readable(), pa_parquet.ParquetFile(files.open(group.file)) as file:
            yield from file.iter_batches(PART_ROWS, row_groups=[group.number], use_threads=False)
