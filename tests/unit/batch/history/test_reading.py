"""Rows out of packs and files: which count, and where they stand."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from preprocess_svc.batch.history.file_rows import (
    SLICE_BYTES,
    NumberedFile,
    chunks,
    in_slices,
    rows,
)
from preprocess_svc.batch.history.read_log import Unpack
from schemas import packs
from schemas.events import FileAccepted, FileRef
from twinstream.define import Int, Source, String, Timestamp
from twinstream.define.records import Decoder
from twinstream.protocol.row_order import FILE_SHIFT, FILES_FROM, RAW_SHIFT

SOURCE = Source(
    "orders",
    id="id",
    key="id",
    event_time="at",
    known_at="known",
    fields={
        "id": String(),
        "at": Timestamp(),
        "known": Timestamp(optional=True),
        "n": Int(optional=True),
    },
)


def pack(first: int, count: int, *, last: int | None = None, kind: int = packs.PACK) -> bytes:
    raws = list(range(first, first + count))
    columns = {
        packs.RAW: raws,
        packs.KNOWN: [7] * count,
        "id": [str(r) for r in raws],
        "at": raws,
        "known": raws,
        "n": raws,
    }
    batch = pa.RecordBatch.from_pydict(columns, schema=SOURCE.pack_schema)
    end = first + count - 1 if last is None else last
    header = packs.PackHeader(
        kind=kind, epoch=1, rows=count, raw_first=first, raw_last=end, raw_high=end
    )
    return packs.encode_pack(header, batch)


def positions(messages: list[tuple[int, bytes]], high: dict[int, int]) -> list[int]:
    columns = {
        "partition": [p for p, _ in messages],
        "offset": range(len(messages)),
        "value": [v for _, v in messages],
    }
    batch = pa.RecordBatch.from_pydict(
        columns,
        schema=pa.schema(
            [("partition", pa.int32()), ("offset", pa.int64()), ("value", pa.binary())]
        ),
    )
    return [
        position
        for out in Unpack(SOURCE, high)([batch])
        for position in out["_position"].to_pylist()
    ]


def test_a_row_counts_only_beyond_all_before_it_in_its_partition() -> None:
    twice = [(0, pack(0, 3)), (0, pack(2, 3)), (1, pack(0, 2)), (0, pack(0, 3)), (0, pack(5, 1))]
    second = 1 << RAW_SHIFT
    assert positions(twice, {0: -1, 1: -1}) == [0, 1, 2, 3, 4, second, second + 1, 5]


def test_rows_covered_by_an_earlier_epoch_do_not_count() -> None:
    assert positions([(0, pack(3, 4))], {0: 4}) == [5, 6]


def test_a_range_without_rows_covers_as_well() -> None:
    assert positions([(0, pack(0, 0, last=9)), (0, pack(8, 4))], {0: -1}) == [10, 11]


def test_barriers_have_no_rows() -> None:
    assert positions([(0, pack(0, 0, last=-1, kind=packs.BARRIER)), (0, pack(0, 1))], {0: -1}) == [
        0
    ]


def test_what_ingest_did_not_write_covers_nothing() -> None:
    foreign: list[bytes] = [b"", b"x", b"\xff" * 200, None]  # type: ignore[list-item]
    assert positions(
        [(0, foreign[0]), (0, pack(0, 2)), *((0, value) for value in foreign), (0, pack(2, 2))],
        {0: -1},
    ) == [0, 1, 2, 3]


RECORDS = [
    {"id": f"a{i}", "at": i, "known": None if i % 2 else i + 5, "n": None if i % 3 else i}
    for i in range(50)
]


def numbered(number: int, latest_us: int = 1 << 60) -> NumberedFile:
    accepted = FileAccepted(
        source="orders",
        file=FileRef(uri="s3://raw/a", sha256=""),
        format="jsonl",
        accepted_at_us=latest_us,
    )
    return NumberedFile(number, accepted, latest_us)


def write(path: Path, form: str) -> None:
    if form == "parquet":
        pq.write_table(pa.Table.from_pylist(RECORDS), path, row_group_size=7)
    elif form == "csv":
        lines = [
            ",".join("" if v is None else str(v) for v in record.values()) for record in RECORDS
        ]
        path.write_text("\n".join(["id,at,known,n", *lines]) + "\n")
    else:
        path.write_bytes(b"\n".join(msgspec.json.encode(record) for record in RECORDS))


@pytest.mark.parametrize("form", ["parquet", "csv", "jsonl"])
def test_a_file_gives_the_same_rows_in_whatever_parts_it_is_read(form: str, tmp_path: Path) -> None:
    write(tmp_path / "file", form)
    parts = [
        rows(SOURCE, chunk, numbered(3))
        for chunk in chunks(Decoder(SOURCE), tmp_path / "file", form, block_bytes=256, batch_rows=9)
    ]
    assert len(parts) > 1
    table = pa.Table.from_batches(parts)
    assert table["_position"].to_pylist() == [FILES_FROM + (3 << FILE_SHIFT) + i for i in range(50)]
    assert table["_known_us"].to_pylist() == [i if i % 2 else i + 5 for i in range(50)]
    assert table.select(["id", "at", "known", "n"]).to_pylist() == RECORDS


def test_bad_lines_keep_the_numbers_of_the_others(tmp_path: Path) -> None:
    lines = [b'{"id": "a", "at": 1}', b"no json", b"", b'{"id": "b", "at": 2}']
    (tmp_path / "file").write_bytes(b"\n".join(lines))
    found = list(chunks(Decoder(SOURCE), tmp_path / "file", "jsonl"))
    assert [
        p for chunk in found for p in rows(SOURCE, chunk, numbered(0))["_position"].to_pylist()
    ] == [FILES_FROM, FILES_FROM + 2]
    assert [(bad.number, bad.original) for chunk in found for bad in chunk.bad] == [(1, b"no json")]


def test_no_row_of_a_file_became_known_after_the_file_was_accepted(tmp_path: Path) -> None:
    lines = [
        b'{"id": "a", "at": 5}',
        b'{"id": "b", "at": 90}',
        b'{"id": "c", "at": 5, "known": 90}',
        b'{"id": "d", "at": 90, "known": 6}',
    ]
    (tmp_path / "file").write_bytes(b"\n".join(lines))
    found = [
        p
        for chunk in chunks(Decoder(SOURCE), tmp_path / "file", "jsonl")
        for p in rows(SOURCE, chunk, numbered(0, latest_us=50))["_known_us"].to_pylist()
    ]
    assert found == [5, 50, 50, 6]


def test_files_sort_before_the_log_and_in_their_order() -> None:
    first, last = FILES_FROM + (0 << FILE_SHIFT), FILES_FROM + ((2**29) << FILE_SHIFT) + 2**32 - 1
    assert first < last < 0
    assert np.int64(first) == first


def test_long_texts_reach_the_jvm_in_batches_that_it_can_hold() -> None:
    batch = pa.record_batch({"n": pa.array(range(40)), "text": pa.array(["x" * (4 << 20)] * 40)})
    slices = list(in_slices(batch))
    assert pa.Table.from_batches(slices).equals(pa.Table.from_batches([batch]))
    assert max(part.nbytes for part in slices) <= SLICE_BYTES
    assert list(in_slices(batch.slice(0, 0))) == []
