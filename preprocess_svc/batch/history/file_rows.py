"""A file to rows: decoded in parts of bounded size by the decoder of live records, each row with its
position and the time at which it became known. Pure but for the file it reads.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from preprocess_svc.batch.history.rows import row_schema
from schemas.events import FileAccepted
from twinstream.define import Source
from twinstream.define.records import Decoded, Decoder
from twinstream.errors import RecordError
from twinstream.files.csv_rows import read_csv
from twinstream.files.json_lines import read_json_lines
from twinstream.files.parquet_rows import BATCH_ROWS, read_parquet
from twinstream.files.parts import BLOCK_BYTES, BadRow, Part, UnreadableFileError, bad_row
from twinstream.protocol.row_order import MOST_FILE_ROWS, position_in_files

SLICE_BYTES = 64 << 20


class NumberedFile(NamedTuple):
    """A file with its number among all accepted files; no row of it became known after
    `latest_us`.
    """

    number: int
    accepted: FileAccepted
    latest_us: int


class Chunk(NamedTuple):
    """Some rows of a file as decoded: `numbers[i]` is that of row i of the batch;
    `bad` the rows that do not count.
    """

    batch: pa.RecordBatch
    numbers: np.ndarray
    bad: list[BadRow]


def rows(
    source: Source,
    chunk: Chunk,
    file: NumberedFile,
) -> pa.RecordBatch:
    """The rows that fit, with position (number of the file, row in it) and the time at which each
    became known.
    """
    batch, schema = chunk.batch, row_schema(source)
    position = pa.array(position_in_files(file.number, chunk.numbers))
    known = _known(source, batch, file.latest_us)
    return pa.RecordBatch.from_arrays(
        [position, known, *(batch[name] for name in schema.names[2:])],
        schema=schema,
    )


def _known(
    source: Source,
    batch: pa.RecordBatch,
    latest_us: int,
) -> pa.Array:
    """As `known_time.known_in_file` has it."""
    claimed = pc.coalesce(batch[source.known_at or source.event_time], batch[source.event_time])
    return pc.min_element_wise(claimed, pa.scalar(latest_us, pa.int64()))


def chunks(
    decoder: Decoder,
    path: Path,
    form: str,
    *,
    block_bytes: int = BLOCK_BYTES,
    batch_rows: int = BATCH_ROWS,
) -> Iterator[Chunk]:
    """A file in parts of bounded size, decoded; a row's number is its place among the file's rows,
    whatever the parts.

    Raises UnreadableFileError, perhaps after some chunks: take none before the last came.
    """
    for part in _parts(path, form, list(decoder.source.fields), block_bytes, batch_rows):
        if len(part.numbers) and int(part.numbers[-1]) >= MOST_FILE_ROWS:
            raise UnreadableFileError(f"it has more than {MOST_FILE_ROWS} rows: send it in parts")
        yield _decoded(decoder, part, text=form == "csv")


def _parts(
    path: Path,
    form: str,
    wanted: list[str],
    block_bytes: int,
    batch_rows: int,
) -> Iterator[Part]:
    """A file's rows as its form gives them."""
    if form == "parquet":
        yield from read_parquet(path, wanted, batch_rows)
        return
    with path.open("rb") as file:
        yield from (
            read_csv(file, wanted, block_bytes)
            if form == "csv"
            else read_json_lines(file, block_bytes)
        )


def _decoded(
    decoder: Decoder,
    part: Part,
    *,
    text: bool,
) -> Chunk:
    try:
        found = _read(decoder, part, text=text)
    except (RecordError, pa.ArrowException, ValueError, OverflowError) as error:
        raise UnreadableFileError(f"its rows cannot be decoded: {error}") from error
    bad = [bad_row(int(part.numbers[i]), part.place(i), reason) for i, reason in found.errors]
    return Chunk(found.batch, part.numbers[found.index], sorted([*part.bad, *bad]))


def _read(
    decoder: Decoder,
    part: Part,
    *,
    text: bool,
) -> Decoded:
    if isinstance(part.rows, list):
        return decoder.json(part.rows)
    return decoder.table(part.rows, text=text)


def in_slices(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """The same rows in batches that the JVM's memory holds: a few long texts make a batch of
    gigabytes.
    """
    rows_at_once = max(1, batch.num_rows * SLICE_BYTES // max(1, batch.nbytes))
    for start in range(0, batch.num_rows, rows_at_once):
        yield batch.slice(start, rows_at_once)
