"""JSON lines and Parquet read strictly."""

from __future__ import annotations

import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pa_parquet
import pytest

from twinstream.define import Decimal, Int, Source, String, Timestamp
from twinstream.define.records import Decoder
from twinstream.files.json_lines import read_json_lines
from twinstream.files.parquet_rows import read_parquet
from twinstream.files.parts import MOST_ROW_BYTES, UnreadableFileError, original_of


def lines_of(data: bytes, block_bytes: int) -> list[bytes]:
    parts = list(read_json_lines(io.BytesIO(data), block_bytes))
    numbers = [int(n) for part in parts for n in part.numbers]
    assert numbers == list(range(len(numbers)))
    return [line for part in parts for line in part.rows]


@pytest.mark.parametrize("block_bytes", [1, 2, 3, 5, 1 << 20])
@pytest.mark.parametrize(
    "data",
    [
        b'{"a":1}\n{"b":2}\n{"c":3}',
        b'\xef\xbb\xbf{"a":1}\r\n{"b":2}\r\n\r\n{"c":3}\r\n',
        b'{"a":1}\r{"b":2}\r{"c":3}\r',
        b'\n\n{"a":1}\n \t\n{"b":2}\r{"c":3}\n\n',
    ],
)
def test_lines_end_in_any_way_and_blank_ones_are_nothing(data: bytes, block_bytes: int) -> None:
    assert lines_of(data, max(block_bytes, 4)) == [b'{"a":1}', b'{"b":2}', b'{"c":3}']


def test_a_line_beyond_the_limit_is_one_bad_row_and_the_others_count() -> None:
    parts = list(
        read_json_lines(
            io.BytesIO(b'{"a":1}\n' + b"x" * (MOST_ROW_BYTES + 9) + b'\n{"b":2}\n'), 1 << 20
        )
    )
    assert [line for part in parts for line in part.rows] == [b'{"a":1}', b'{"b":2}']
    (bad,) = [row for part in parts for row in part.bad]
    assert (bad.number, len(bad.original)) == (1, MOST_ROW_BYTES)


def written(table: pa.Table, **options: object) -> bytes:
    sink = io.BytesIO()
    pa_parquet.write_table(table, sink, **options)
    return sink.getvalue()


@pytest.mark.parametrize("compression", ["zstd", "snappy", "gzip"])
def test_a_flipped_bit_in_a_page_behind_a_good_footer_costs_the_file(compression: str) -> None:
    data = bytearray(
        written(
            pa.table({"id": [f"row-{n * 7919}" for n in range(2_000)]}),
            compression=compression,
            use_dictionary=False,
            write_statistics=False,
        )
    )
    assert (
        sum(part.rows.num_rows for part in read_parquet(io.BytesIO(bytes(data)), ["id"])) == 2_000
    )  # type: ignore[union-attr]
    for at in range(60, 400):
        data[at] ^= 0x5A
    with pytest.raises(UnreadableFileError):
        list(read_parquet(io.BytesIO(bytes(data)), ["id"]))


@pytest.mark.parametrize(
    "data", [b"", b"PAR1", b"PAR1" + b"\x00" * 60 + b"PAR1", b"not parquet at all"]
)
def test_what_has_no_footer_is_refused(data: bytes) -> None:
    with pytest.raises(UnreadableFileError):
        list(read_parquet(io.BytesIO(data), ["id"]))


def test_undeclared_columns_are_not_read_whatever_they_hold() -> None:
    odd = pa.array([10**15] * 2, pa.int64()).cast(pa.timestamp("ms"), safe=False)
    data = written(pa.table({"id": ["a", "b"], "odd": odd, "nested": [[{"x": 1}], []]}))
    (part,) = read_parquet(io.BytesIO(data), ["id", "gone"])
    assert part.rows.to_pydict() == {"id": ["a", "b"]}  # type: ignore[union-attr]


def test_moments_beyond_what_python_knows_are_dead_letters_and_the_others_count() -> None:
    source = Source(
        "s", id="id", key="id", event_time="at", fields={"id": String(), "at": Timestamp()}
    )
    at = pa.array([10**15, 1_700_000_000_000], pa.int64()).cast(
        pa.timestamp("ms", "Asia/Tokyo"), safe=False
    )
    (part,) = read_parquet(
        io.BytesIO(written(pa.table({"id": ["a", "b"], "at": at}), coerce_timestamps=None)),
        ["id", "at"],
    )
    found = Decoder(source).table(part.rows)  # type: ignore[arg-type]
    assert (found.batch["id"].to_pylist(), [i for i, _ in found.errors]) == (["b"], [0])
    assert b'"id": "a"' in original_of(part.rows, 0)


def test_text_that_is_not_utf8_costs_its_row() -> None:
    text = pa.Array.from_buffers(
        pa.string(), 3, pa.array([b"ok", b"\xff\xfe", b"fine"], pa.binary()).buffers()
    )
    (part,) = read_parquet(io.BytesIO(written(pa.table({"id": text}))), ["id"])
    assert part.rows.to_pydict() == {"id": ["ok", "fine"]}  # type: ignore[union-attr]
    assert ([int(n) for n in part.numbers], [row.number for row in part.bad]) == ([0, 2], [1])


SHOP = Source(
    "s",
    id="oid",
    key="country",
    event_time="at",
    fields={
        "oid": String(),
        "country": String(),
        "note": String(optional=True),
        "amount": Decimal(2, optional=True),
        "n": Int(optional=True),
        "at": Timestamp(),
    },
)


def test_na_is_namibia_and_only_the_empty_cell_is_null(tmp_path: Path) -> None:
    from preprocess_svc.batch.read_files import chunks

    (tmp_path / "na.csv").write_text(
        "oid,country,note,amount,n,at\nna1,NA,NULL,1.50,1,2024-01-01T00:00:00Z\nna2,NA,nan,2.50,2,2024-01-01T00:00:00Z\n"
        "na3,NA,x,NaN,1,2024-01-01T00:00:00Z\nna4,NA,x,1.00,NA,2024-01-01T00:00:00Z\nna5,NA,,,,2024-01-01T00:00:00Z\n"
    )
    found = list(chunks(Decoder(SHOP), tmp_path / "na.csv", "csv"))
    rows = [row for chunk in found for row in chunk.batch.to_pylist()]
    assert [(r["oid"], r["country"], r["note"], r["amount"], r["n"]) for r in rows] == [
        ("na1", "NA", "NULL", 150, 1),
        ("na2", "NA", "nan", 250, 2),
        ("na5", "NA", None, None, None),
    ]
    assert [bad.number for chunk in found for bad in chunk.bad] == [2, 3]
