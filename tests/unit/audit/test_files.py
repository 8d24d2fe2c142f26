"""The audit's own reader of files, on the odd files that users send."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinstream import Int, Source, String, Timestamp
from twinstream.audit.files import decode_file
from twinstream.define.records import Decoder

SOURCE = Source(
    "orders",
    id="id",
    key="id",
    event_time="at",
    fields={
        "id": String(),
        "at": Timestamp(),
        "note": String(optional=True),
        "n": Int(optional=True),
    },
)
DECODER = Decoder(SOURCE)
AT = datetime(2024, 1, 1, tzinfo=UTC)
HEAD = b"id,at,note,n\n"
DAY = b"2024-01-01T00:00:00Z"


def found(data: bytes, form: str = "csv") -> list[tuple[int, str, str | None, int | None]]:
    """(number, id, note, n) of the rows that count."""
    decoded = decode_file(DECODER, data, form)
    return [
        (i, row["id"], row["note"], row["n"])
        for i, row in zip(decoded.index.tolist(), decoded.batch.to_pylist(), strict=True)
    ]


@pytest.mark.parametrize(
    ("rows", "right"),
    [
        (b"007,%b,x,1\n", [(0, "007", "x", 1)]),
        (b"a,%b,x,1\r\nb,%b,y,2\r\n", [(0, "a", "x", 1), (1, "b", "y", 2)]),
        (b"\na,%b,x,1\n\n\nb,%b,y,2", [(0, "a", "x", 1), (1, "b", "y", 2)]),
        (b'a,%b,"say ""hi"", twice",1\n', [(0, "a", 'say "hi", twice', 1)]),
        (
            b'a,%b,"two\nlines",1\nb,%b,"and\r\nmore",2\n',
            [(0, "a", "two\nlines", 1), (1, "b", "and\r\nmore", 2)],
        ),
        (
            b'NA,%b,NULL,1\nN/A,%b,"nan",2\nnull,%b,None,3\n',
            [(0, "NA", "NULL", 1), (1, "N/A", "nan", 2), (2, "null", "None", 3)],
        ),
        (b'a,%b,,\nb,%b,"",""\n', [(0, "a", None, None), (1, "b", None, None)]),
        (b"a,%b,x,NA\nb,%b,x,NaN\nc,%b,x,1\n", [(2, "c", "x", 1)]),
        (
            b"a,%b,x,1\nb,%b,a comma, unquoted,1\nc,%b\nd,%b,y,2\n",
            [(0, "a", "x", 1), (3, "d", "y", 2)],
        ),
        (b"a,%b,caf\xe9,1\nb,%b,caf\xc3\xa9,2\n", [(1, "b", "caf\u00e9", 2)]),
        (b'a,%b,x,1\nb,%b,"open,1\nc,%b,y,2\n', [(0, "a", "x", 1)]),
        (b"", []),
    ],
)
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
def test_which_rows_of_a_csv_count(bom: bytes, rows: bytes, right: list[object]) -> None:
    assert found(bom + HEAD + rows.replace(b"%b", DAY)) == right


def test_an_empty_file_and_a_header_alone_have_no_rows() -> None:
    assert found(b"") == found(HEAD) == found(HEAD.strip()) == found(b"", "jsonl") == []


def test_a_quoted_column_name_may_hold_a_line_break() -> None:
    assert found(b'"odd\nname",n,note,at,id\n,1,x,' + DAY + b",a\n") == [(0, "a", "x", 1)]


cells = st.text(
    st.characters(exclude_categories=["Cs"], include_characters='",\r\n\ufeff'), max_size=8
)


@given(notes=st.lists(cells, max_size=8), end=st.sampled_from(["\n", "\r\n"]))
def test_every_text_that_is_written_quoted_comes_back(notes: list[str], end: str) -> None:
    sink = io.StringIO()
    writer = csv.writer(sink, quoting=csv.QUOTE_ALL, lineterminator=end)
    writer.writerow(["id", "at", "note", "n"])
    writer.writerows([f"r{i}", DAY.decode(), note, i] for i, note in enumerate(notes))
    assert found(sink.getvalue().encode()) == [
        (i, f"r{i}", note or None, i) for i, note in enumerate(notes)
    ]


def line(name: str) -> bytes:
    return msgspec.json.encode({"id": name, "at": AT, "n": 1})


@pytest.mark.parametrize("between", [b"\n", b"\r\n", b"\r", b"\n\n", b"\n  \n", b"\r\r\n"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
def test_good_lines_of_json_count_whatever_stands_between_them(bom: bytes, between: bytes) -> None:
    assert found(bom + between.join([line("a"), line("b")]) + between, "jsonl") == [
        (0, "a", None, 1),
        (1, "b", None, 1),
    ]


def parquet(**columns: object) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({"id": ["a", "b"], "at": [AT, AT]} | columns), sink)
    return sink.getvalue()


@pytest.mark.parametrize(
    "note",
    [
        pa.array(["x", None]),
        pa.array(["x", None], pa.large_string()),
        pa.array(["x", None]).dictionary_encode(),
    ],
)
def test_a_text_of_parquet_may_have_any_form(note: pa.Array) -> None:
    assert found(parquet(note=note), "parquet") == [(0, "a", "x", None), (1, "b", None, None)]


@pytest.mark.parametrize(
    "at",
    [
        pa.array([0, 253_402_300_799_000], pa.timestamp("ms", "Asia/Tokyo")),
        pa.array([0, 10**15], pa.timestamp("ms", "UTC")),
        pa.array([0, -(10**15)], pa.timestamp("s", "UTC")),
    ],
)
def test_a_moment_beyond_every_calendar_does_not_count_and_stops_nothing(at: pa.Array) -> None:
    assert [row[1] for row in found(parquet(at=at), "parquet")] == ["a"]
    assert [row[1] for row in found(parquet(other=at), "parquet")] == ["a", "b"]


def test_a_text_of_parquet_that_is_not_utf8_does_not_count() -> None:
    raw = pa.array([b"\xff", b"y"], pa.binary())
    note = pa.Array.from_buffers(pa.string(), 2, raw.buffers())
    assert found(parquet(note=note), "parquet") == [(1, "b", "y", None)]
