"""Lines as users pipe them in: of any length and content, each sent as it is, in constant
memory.
"""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Iterator

import pytest

from twinstream.cli.sending import (
    LONGEST_BYTES,
    READ_BYTES,
    Line,
    Sent,
    keyed,
    lines_of,
    millis,
)
from twinstream.define import Source, String, Timestamp
from twinstream.errors import RecordError
from twinstream.files.encoding import BOM

WEATHER = Source(
    "weather",
    id="origin",
    key="origin",
    event_time="at",
    fields={"origin": String(), "at": Timestamp()},
)


def screened(data: bytes, field: str = "") -> list[Line]:
    return list(keyed(WEATHER, lines_of(io.BytesIO(data)), field))


def test_a_line_is_keyed_by_the_source_and_sent_as_it_is() -> None:
    found = screened(b'{"origin": "JFK", "at": "2013-10-01T00:00:00Z"}\n\n{"at": 5}')
    assert [(line.key, line.data, line.problem) for line in found] == [
        (b"JFK", b'{"origin": "JFK", "at": "2013-10-01T00:00:00Z"}', ""),
        (None, b'{"at": 5}', ""),
    ]


@pytest.mark.parametrize(
    "data",
    [
        b'{"origin":"A"}',
        b'{"origin":"A"}\n',
        b'{"origin":"A"}\r\n',
        b'\r\n\n  {"origin":"A"}  \r\n\n',
        BOM + b'{"origin":"A"}\n',
    ],
)
def test_ends_of_lines_and_a_byte_order_mark_are_not_the_record(data: bytes) -> None:
    assert [(line.data, line.key, line.problem) for line in screened(data)] == [
        (b'{"origin":"A"}', b"A", "")
    ]


@pytest.mark.parametrize(
    "bad",
    [
        b"[1]",
        b"{",
        b"null",
        b'{"origin": "\xff"}',
        b"\xff\xfe",
        b'{"a":' * 50_000,
        b"NaN",
        b"\x00",
        BOM + b"{}",
    ],
)
def test_a_bad_line_is_sent_as_it_is_and_the_next_ones_count(bad: bytes) -> None:
    before, wrong, after = screened(b'{"origin":"A"}\n' + bad + b'\n{"origin":"B"}')
    assert (wrong.number, wrong.data, wrong.fits) == (2, bad, True)
    assert "not a JSON object" in wrong.problem
    assert (before.key, after.key, after.number) == (b"A", b"B", 3)


def test_a_line_that_fits_no_message_is_told_and_the_next_ones_count() -> None:
    wrong, after = screened(b"x" * (LONGEST_BYTES + 5_000_000) + b'\n{"origin":"B"}')
    assert (wrong.fits, after.key, after.number) == (False, b"B", 2)


class Endless(io.RawIOBase):
    """Half a gigabyte of one line, then a record."""

    def __init__(self) -> None:
        self._parts: Iterator[bytes] = iter([*[b"x" * (1 << 20)] * 512, b'\n{"origin":"B"}\n'])

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        part = next(self._parts, b"")
        buffer[: len(part)] = part
        return len(part)


def test_a_line_of_any_length_takes_constant_memory() -> None:
    tracemalloc.start()
    try:
        keys = [
            line.key for line in keyed(WEATHER, lines_of(io.BufferedReader(Endless(), 1 << 20)))
        ]
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert keys == [None, b"B"]
    assert most < 64 << 20


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1_380_585_600_000_000, 1_380_585_600_000),
        ("2013-10-01T00:00:00Z", 1_380_585_600_000),
        ("2013-10-01T00:00:00", 1_380_585_600_000),
        ("2013-10-01T02:00:00+02:00", 1_380_585_600_000),
    ],
)
def test_a_records_time_becomes_the_messages(value: object, expected: int) -> None:
    assert millis({"at": value}, "at") == expected


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        1.5,
        "",
        "soon",
        10**30,
        -(10**30),
        "9999-12-31T23:59:59-23:59",
        [],
        {},
        "²",
        "2300-01-01",
    ],
)
def test_a_time_that_is_none_is_a_problem_of_its_line_alone(value: object) -> None:
    with pytest.raises(RecordError, match="at is"):
        millis({"at": value}, "at")
    first, second, third = screened(
        b'{"at": "2013-10-01T00:00:00Z"}\n{"origin": "A"}\n{"at": "2013-10-02T00:00:00Z"}', "at"
    )
    assert second.problem
    assert (second.key, second.stamp_ms) == (b"A", first.stamp_ms)
    assert third.stamp_ms == first.stamp_ms + 86_400_000


def test_a_summary_counts_and_gives_the_first_reasons() -> None:
    tally = Sent(sent=5, bad=4, left=1, reasons=[])
    for number in range(9):
        tally.tell(f"line {number}: x")
    assert str(tally).startswith("sent 5 record(s); 4 of them bad")
    assert "line 2: x" in str(tally)
    assert "line 3" not in str(tally)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_lines_end_as_in_files(mark: bytes, end: bytes) -> None:
    data = mark + end.join([b'{"origin":"A"}', b"", b'{"origin":"B"}', b'{"origin":"C"}'])
    assert [line.key for line in screened(data)] == [b"A", b"B", b"C"]
    assert [line.problem for line in screened(data + end)] == [""] * 3


def test_lines_are_whole_wherever_a_read_ends() -> None:
    """Lines around the size of one read, ended in each way."""
    for size in range(READ_BYTES - 3, READ_BYTES + 4):
        for end in (b"\n", b"\r\n", b"\r"):
            data = (b"x" * size + end) * 3
            assert [line for line in lines_of(io.BytesIO(data)) if line] == [b"x" * size] * 3
