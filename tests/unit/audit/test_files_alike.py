"""The audit's reader of files and the batch layer's, written apart, find the same rows under the
same numbers in any bytes.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from preprocess_svc.batch.history.file_rows import chunks
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
HEAD = b"id,at,note,n\n"
Found = list[tuple[int, dict[str, Any]]]


def audited(data: bytes, form: str) -> Found:
    decoded = decode_file(DECODER, data, form)
    return list(zip(decoded.index.tolist(), decoded.batch.to_pylist(), strict=True))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files") / "file"


def batched(data: bytes, form: str, path: Path, block_bytes: int) -> Found:
    path.write_bytes(data)
    found = list(chunks(DECODER, path, form, block_bytes=block_bytes, batch_rows=3))
    return [
        pair
        for chunk in found
        for pair in zip(chunk.numbers.tolist(), chunk.batch.to_pylist(), strict=True)
    ]


row = st.builds(
    lambda name, note, n, end: b"%b,1970-01-01T00:00:01Z,%b,%b%b" % (name, note, n, end),
    st.sampled_from([b"a", b"007", b"NA", b"", b'"q"', b'""']),
    st.sampled_from(
        [
            b"",
            b"x",
            b"NULL",
            b"nan",
            b'"a ""b"" c"',
            b'"l1\nl2"',
            b'"l1\r\nl2"',
            b'"l1\rl2"',
            b"caf\xc3\xa9",
            b"caf\xe9",
            b'"c,d"',
            b"c,d",
            b'"o"p',
            b'o"p',
            b" ",
        ]
    ),
    st.sampled_from([b"", b"1", b"NaN", b"01", b'"2"', b"2.0", b"1e3"]),
    st.sampled_from([b"\n", b"\r\n", b"\r", b"\n\n", b"\r\n\r\n"]),
)
soup = st.lists(
    st.sampled_from(
        [
            b"a",
            b",",
            b'"',
            b"\n",
            b"\r",
            b"\xc3\xa9",
            b"\xff",
            b"\xef\xbb\xbf",
            b" ",
            b",1970-01-01T00:00:01Z,x,1\n",
        ]
    ),
    max_size=14,
).map(b"".join)
bodies = st.lists(row | soup, max_size=9).map(b"".join)


@settings(max_examples=400, deadline=None)
@given(
    body=bodies,
    mark=st.sampled_from([b"", b"\xef\xbb\xbf"]),
    block_bytes=st.sampled_from([7, 40, 1 << 20]),
)
@example(body=b"007,1970-01-01T00:00:01Z,x,1\n", mark=b"\xef\xbb\xbf", block_bytes=1 << 20)
def test_any_csv(body: bytes, mark: bytes, block_bytes: int, path: Path) -> None:
    data = mark + HEAD + body
    assert audited(data, "csv") == batched(data, "csv", path, block_bytes)


lines = st.lists(
    st.sampled_from(
        [
            b'{"id":"a","at":1}',
            b'{"id":"b","at":2,"n":3}',
            b"no json",
            b"",
            b"  ",
            b"\xff",
            b'{"id":"\xff","at":1}',
            b'{"id":"c\\n","at":1}',
        ]
    ),
    max_size=9,
)
ends = st.sampled_from([b"\n", b"\r\n", b"\r", b"\n\n", b"\r\r\n"])


@settings(max_examples=200, deadline=None)
@given(
    parts=st.lists(st.tuples(lines, ends), max_size=4),
    mark=st.sampled_from([b"", b"\xef\xbb\xbf"]),
    block_bytes=st.sampled_from([5, 40, 1 << 20]),
)
def test_any_json_lines(
    parts: list[tuple[list[bytes], bytes]], mark: bytes, block_bytes: int, path: Path
) -> None:
    data = mark + b"".join(line + end for some, end in parts for line in some)
    assert audited(data, "jsonl") == batched(data, "jsonl", path, block_bytes)


texts = pa.Array.from_buffers(
    pa.string(), 4, pa.array([b"x", b"\xff", None, b"y"], pa.binary()).buffers()
)
COLUMNS: dict[str, dict[str, Any]] = {
    "plain": {"note": ["x", None, "", "NA"], "n": [1, None, 3, 4]},
    "large": {"note": pa.array(["x", None, "", "NA"], pa.large_string())},
    "dictionary": {"note": pa.array(["x", None, "x", "NA"]).dictionary_encode()},
    "not_utf8": {"note": texts},
    "undeclared_not_utf8": {"other": texts},
    "undeclared_moment": {"other": pa.array([10**15] * 4, pa.timestamp("ms", "Asia/Tokyo"))},
    "moment": {"at": pa.array([0, 10**15, -(10**15), 7], pa.timestamp("ms", "Asia/Tokyo"))},
    "float": {"n": [1.0, 2.5, float("nan"), None]},
    "list": {"other": [[1], [], None, [2, 3]]},
}


@pytest.mark.parametrize("columns", COLUMNS.values(), ids=list(COLUMNS))
def test_parquet_of_any_form(columns: dict[str, Any], path: Path) -> None:
    sink = io.BytesIO()
    pq.write_table(
        pa.table({"id": ["a", "b", "c", "d"], "at": [1, 2, 3, 4]} | columns), sink, row_group_size=2
    )
    data = sink.getvalue()
    assert audited(data, "parquet") == batched(data, "parquet", path, 1 << 20)
