"""CSV read strictly: each row counts or is a dead letter by itself, whatever the blocks in which
the file comes.
"""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinstream.files.csv_rows import header_of, read_csv
from twinstream.files.parts import BadRow, UnreadableFileError

Row = list[str | None]


def read(data: bytes, block_bytes: int = 1 << 20) -> tuple[dict[int, Row], list[BadRow]]:
    """Rows by number, and the bad ones."""
    rows: dict[int, Row] = {}
    bad: list[BadRow] = []
    for part in read_csv(io.BytesIO(data), block_bytes=block_bytes):
        columns = [column.to_pylist() for column in part.rows.columns]  # type: ignore[union-attr]
        rows |= {
            int(number): [column[i] for column in columns] for i, number in enumerate(part.numbers)
        }
        bad += part.bad
    return rows, bad


CASES: dict[str, tuple[bytes, dict[int, Row], list[tuple[int, str]]]] = {
    "only the empty cell is null": (
        b'id,n\nna1,NA\nNULL,nan\n"",N/A\n',
        {0: ["na1", "NA"], 1: ["NULL", "nan"], 2: [None, "N/A"]},
        [],
    ),
    "ragged": (
        b"id,n\na,1\nb\nc,1,2\nd,4\n",
        {0: ["a", "1"], 3: ["d", "4"]},
        [(1, "line 3: 1 cells, the header has 2"), (2, "line 4: 3 cells")],
    ),
    "latin-1": (b"id,n\n\xe9,1\nb,2\n", {1: ["b", "2"]}, [(0, "line 2: it is not UTF-8")]),
    "header only": (b"id,n", {}, []),
    "header only with a line end": (b"id,n\r\n", {}, []),
    "empty": (b"", {}, []),
    "unterminated": (
        b'id,n\na,1\n"b,2\nc,3\n',
        {0: ["a", "1"]},
        [(1, "line 3: a quote is opened and never closed")],
    ),
    "cut last row": (b"id,n\na,1\nb", {0: ["a", "1"]}, [(1, "line 3: 1 cells")]),
    "no line end": (b"id,n\na,1", {0: ["a", "1"]}, []),
    "mark and CRLF": (b"\xef\xbb\xbfid,n\r\n007,1\r\n", {0: ["007", "1"]}, []),
    "bare CR": (b"id,n\ra,1\rb,2\r", {0: ["a", "1"], 1: ["b", "2"]}, []),
    "blank lines": (b"id,n\n\na,1\n\r\n\nb,2\n\n", {0: ["a", "1"], 1: ["b", "2"]}, []),
    "doubled quotes": (b'id,n\n"a""b",1\n', {0: ['a"b', "1"]}, []),
    "quoted breaks and commas": (
        b'id,n\n"a\nb,c\r\nd",1\ne,2\n',
        {0: ["a\nb,c\r\nd", "1"], 1: ["e", "2"]},
        [],
    ),
    "a quote within a bare cell": (b'id,n\na"b,1\n', {0: ['a"b', "1"]}, []),
    "text behind a closing quote": (
        b'id,n\n"a"b,1\nc,2\n',
        {1: ["c", "2"]},
        [(0, "line 2: a character follows a closing quote")],
    ),
    "NUL in a cell": (b"id,n\na\x00b,1\n", {0: ["a\x00b", "1"]}, []),
    "a bad byte within quotes": (
        b'id,n\n"\xff",1\nb,2\n',
        {1: ["b", "2"]},
        [(0, "line 2: it is not UTF-8")],
    ),
    "line numbers behind quoted breaks": (
        b'id,n\n"a\n\n",1\nb\n',
        {0: ["a\n\n", "1"]},
        [(1, "line 5: 1 cells")],
    ),
}


@pytest.mark.parametrize("block_bytes", [1, 2, 3, 7, 1 << 20])
@pytest.mark.parametrize("name", CASES)
def test_a_file_gives_these_rows_and_these_reasons(name: str, block_bytes: int) -> None:
    data, rows, reasons = CASES[name]
    found, bad = read(data, block_bytes)
    assert found == rows
    assert [row.number for row in bad] == [number for number, _ in reasons]
    for row, (_, reason) in zip(bad, reasons, strict=True):
        assert row.reason.startswith(reason)


cell = st.text(st.sampled_from('ab",\n\r é\x00'), max_size=6)


@given(
    st.lists(st.tuples(cell, cell, cell), max_size=12),
    st.integers(1, 40),
    st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_what_pythons_writer_quotes_is_read_as_it_was(
    rows: list[tuple[str, ...]], block_bytes: int, ending: str
) -> None:
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator=ending, quoting=csv.QUOTE_ALL)
    writer.writerows([("a", "b", "c"), *rows])
    found, bad = read(out.getvalue().encode(), block_bytes)
    assert bad == []
    assert [found[i] for i in range(len(rows))] == [
        [value or None for value in row] for row in rows
    ]


@given(st.text(st.sampled_from('a",\n\r;'), max_size=60), st.integers(1, 30))
def test_blocks_change_nothing_and_no_byte_of_a_row_is_lost(text: str, block_bytes: int) -> None:
    data = b"x,y\n" + text.encode()
    whole, cut = read(data), read(data, block_bytes)
    assert whole == cut
    numbers = sorted([*whole[0], *(row.number for row in whole[1])])
    assert numbers == list(range(len(numbers)))


def test_only_wanted_columns_are_read() -> None:
    (part,) = [
        p for p in read_csv(io.BytesIO(b"id,odd,n\na,x,1\n"), ["n", "id", "gone"]) if len(p.numbers)
    ]
    assert part.rows.to_pydict() == {"id": ["a"], "n": ["1"]}  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "data",
    [
        "id,n\na,1\n".encode("utf-16"),
        b"\x1f\x8b\x08",
        b"id;n\n1;2\n",
        b'"i\nd",n\n1,2\n',
        b'"id,n\n1,2\n',
        b"\xff,n\n",
    ],
)
def test_a_file_without_a_header_that_can_be_read_is_refused_whole(data: bytes) -> None:
    with pytest.raises(UnreadableFileError):
        read(data)


def test_the_header_alone_is_read_from_the_first_part() -> None:
    assert header_of(io.BytesIO(b'\xef\xbb\xbf"a ""x""",b\n1,2\n')) == ['a "x"', "b"]
    assert header_of(io.BytesIO(b"")) == []


def test_51_megabytes_with_quoted_breaks_are_read_as_a_few() -> None:
    row = b'1,"' + b"line\r\n" * 20 + b'"\r\n'
    count = 51_000_000 // len(row)
    rows = bad = 0
    for part in read_csv(io.BytesIO(b"id,text\r\n" + row * count)):
        rows += part.rows.num_rows  # type: ignore[union-attr]
        bad += len(part.bad)
    assert (rows, bad) == (count, 0)
