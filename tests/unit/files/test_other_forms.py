"""JSON lines and Parquet read strictly."""

from __future__ import annotations

import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pa_parquet
import pytest

from twinstream.define import Decimal, Int, Source, String, Timestamp
from twinstream.define.records import Decoder
from twinstream.files.csv_rows import read_csv
from twinstream.files.json_lines import read_json_lines
from twinstream.files.parquet_rows import read_parquet
from twinstream.files.parts import KEPT_BYTES, MOST_ROW_BYTES, UnreadableFileError


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
    assert (bad.number, bad.where, len(bad.original)) == (1, "line 2", KEPT_BYTES)


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_csv_line_beyond_the_limit_is_one_bad_row_and_the_others_count(end: bytes) -> None:
    long = b"x" * (MOST_ROW_BYTES + (3 << 20))
    data = end.join([b"a,b", b"1,2", long, b"3,4", b"5", b"6,7", b""])
    parts = list(read_csv(io.BytesIO(data), block_bytes=1 << 20))
    assert [a for part in parts for a in part.rows["a"].to_pylist()] == ["1", "3", "6"]
    bad = [row for part in parts for row in part.bad]
    assert [(row.number, row.where) for row in bad] == [(1, "line 3"), (3, "line 5")]
    assert "longer than" in bad[0].reason
    assert "cells" in bad[1].reason


def test_a_quote_that_is_opened_and_never_closed_is_the_rest_of_the_file() -> None:
    data = b'a,b\n1,2\n"' + b"x,y\n" * (5 << 20)
    parts = list(read_csv(io.BytesIO(data), block_bytes=1 << 20))
    assert [a for part in parts for a in part.rows["a"].to_pylist()] == ["1"]
    (bad,) = [row for part in parts for row in part.bad]
    assert "never closed" in bad.reason


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
    assert b'"id": "a"' in part.place(0).original


def test_text_that_is_not_utf8_costs_its_row() -> None:
    text = pa.Array.from_buffers(
        pa.string(), 3, pa.array([b"ok", b"\xff\xfe", b"fine"], pa.binary()).buffers()
    )
    (part,) = read_parquet(io.BytesIO(written(pa.table({"id": text}))), ["id"])
    assert part.rows.to_pydict() == {"id": ["ok", "fine"]}  # type: ignore[union-attr]
    assert ([int(n) for n in part.numbers], [row.number for row in part.bad]) == ([0, 2], [1])


def test_a_broken_text_of_a_dictionary_costs_only_the_rows_that_use_it() -> None:
    values = pa.Array.from_buffers(
        pa.string(), 3, pa.array([b"ok", b"\xff\xfe", b"fine"], pa.binary()).buffers()
    )
    indices = pa.array([0, 1, None, 2, 1], pa.int32())
    text = pa.DictionaryArray.from_arrays(indices, values)
    data = written(pa.table({"n": range(5), "id": text}), row_group_size=3)
    parts = list(read_parquet(io.BytesIO(data), ["n", "id"], batch_rows=2))
    assert [row for part in parts for row in part.rows.to_pylist()] == [  # type: ignore[union-attr]
        {"n": 0, "id": "ok"},
        {"n": 2, "id": None},
        {"n": 3, "id": "fine"},
    ]
    bad = [row for part in parts for row in part.bad]
    assert [row.reason for row in bad] == [
        "row 2 (row group 1, row 2 of it): id: its text is not UTF-8",
        "row 5 (row group 2, row 2 of it): id: its text is not UTF-8",
    ]
    assert b'"n": 4' in bad[1].original


def test_a_page_that_does_not_match_its_checksum_costs_the_file() -> None:
    table = pa.table({"n": pa.array(range(1_000), pa.int64())})
    options = {"use_dictionary": False, "compression": "none", "write_page_checksum": True}
    data = bytearray(written(table, **options))
    data[data.index((500).to_bytes(8, "little"))] ^= 1
    with pytest.raises(UnreadableFileError, match="checksum"):
        list(read_parquet(io.BytesIO(bytes(data)), ["n"]))


def test_a_name_that_two_columns_have_and_a_nested_column_cost_the_file() -> None:
    twice = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["n", "n"])
    nested = pa.table({"n": [[1, 2]]})
    for table, reason in ((twice, "is there 2 times"), (nested, "is list")):
        with pytest.raises(UnreadableFileError, match=reason):
            list(read_parquet(io.BytesIO(written(table)), ["n"]))


ODD = {
    "no rows": pa.table({"id": pa.array([], pa.string()), "n": pa.array([], pa.int64())}),
    "nulls alone": pa.table({"id": pa.nulls(3), "n": pa.nulls(3, pa.int64())}),
    "unsigned beyond 63 bits": pa.table(
        {"id": ["a", "b"], "n": pa.array([1, 2**64 - 1], pa.uint64())}
    ),
    "names that differ in case": pa.table({"id": ["a"], "ID": ["x"], "n": [1], "N": [2]}),
    "many columns": pa.table({"id": ["a"], "n": [1]} | {f"c{i}": [i] for i in range(5_000)}),
}
GOOD = {"no rows": [], "nulls alone": [], "unsigned beyond 63 bits": ["a"]}


@pytest.mark.parametrize("name", ODD)
def test_odd_tables_are_read_row_by_row(name: str, tmp_path: Path) -> None:
    from preprocess_svc.batch.history.file_rows import chunks

    source = Source(
        "s", id="id", key="id", event_time="n", fields={"id": String(), "n": Timestamp()}
    )
    (tmp_path / "odd").write_bytes(written(ODD[name], row_group_size=1, write_page_checksum=True))
    found = list(chunks(Decoder(source), tmp_path / "odd", "parquet"))
    rows = [row["id"] for chunk in found for row in chunk.batch.to_pylist()]
    assert rows == GOOD.get(name, ["a"])
    assert len(rows) + sum(len(chunk.bad) for chunk in found) == ODD[name].num_rows


def test_moments_of_int96_are_read() -> None:
    at = pa.array([1_700_000_000_000_000], pa.timestamp("us", "UTC"))
    data = written(pa.table({"at": at}), use_deprecated_int96_timestamps=True)
    (part,) = read_parquet(io.BytesIO(data), ["at"])
    assert part.rows["at"].cast(pa.int64()).to_pylist() in (
        [1_700_000_000_000_000 * 1000],
        [1_700_000_000_000_000],
    )  # type: ignore[call-overload]


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
    from preprocess_svc.batch.history.file_rows import chunks

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


ROW = "{},NA,x,1.00,1,2024-01-01T00:00:00Z"
LINE = '{{"oid":"{}","country":"NA","at":{}}}'


@pytest.mark.parametrize("block_bytes", [64, 1 << 20])
def test_a_row_that_does_not_fit_says_its_line_and_has_its_own_bytes(
    tmp_path: Path, block_bytes: int
) -> None:
    from preprocess_svc.batch.history.file_rows import chunks

    bad = 'f2,NA,"a\r\nb",x1,1,2024-01-01T00:00:00Z'
    rows = [
        "\ufeffoid,country,note,amount,n,at",
        ROW.format("f1"),
        "",
        bad,
        ROW.format("f3"),
        ROW.format("f4") + "?",
    ]
    (tmp_path / "rows.csv").write_bytes("\r\n".join(rows).encode())
    lines = [LINE.format("f1", 1), "", LINE.format("f2", '"x"'), "{", LINE.format("f3", 2)]
    (tmp_path / "lines.jsonl").write_bytes("\r\n".join(lines).encode())
    found = {
        form: [
            (row.number, row.where, row.original.decode(), row.reason)
            for chunk in chunks(Decoder(SHOP), tmp_path / name, form, block_bytes=block_bytes)
            for row in chunk.bad
        ]
        for form, name in (("csv", "rows.csv"), ("jsonl", "lines.jsonl"))
    }
    assert found["csv"] == [
        (1, "line 4", bad, 'line 4: amount: expected decimal, got "x1"'),
        (
            3,
            "line 7",
            rows[5],
            (
                "line 7: at: expected RFC 3339 with a zone or whole microseconds, "
                'got "2024-01-01T00:00:00Z?"'
            ),
        ),
    ]
    assert [row[:3] for row in found["jsonl"]] == [(1, "line 3", lines[2]), (2, "line 4", "{")]
    assert found["jsonl"][0][3].startswith("line 3: at: expected RFC 3339")


def test_of_a_long_row_the_first_bytes_are_kept_and_its_line_finds_the_rest(tmp_path: Path) -> None:
    from preprocess_svc.batch.history.file_rows import chunks

    long = ROW.format("f1") + "x" * (KEPT_BYTES + 1)
    (tmp_path / "rows.csv").write_text(
        "oid,country,note,amount,n,at\n" + long + "\n" + ROW.format("f2")
    )
    (bad,) = [b for c in chunks(Decoder(SHOP), tmp_path / "rows.csv", "csv") for b in c.bad]
    assert bad.original == long.encode()[:KEPT_BYTES]
    assert bad.reason.startswith("line 2: at: ")
    assert bad.reason.endswith("bytes are kept here)")
