"""Key bytes and the partition of a key."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twinstream.algebra import chunks, keys


@pytest.mark.parametrize(
    ("data", "signed"),
    [(b"21", -973932308), (b"foobar", -790332482), (b"a-little-bit-long-string", -985981536)],
)
def test_murmur2_gives_the_numbers_of_kafkas_java_client(data, signed):
    assert keys.murmur2(data) == signed % 2**32


def test_key_of_a_row_with_a_null_part_is_none():
    assert keys.encode(("a", None)) is None
    assert keys.encode(("a", 7, True)) == b"a\x1f7\x1ftrue"


texts = st.text(max_size=5) | st.sampled_from(
    ["", "\x00", "a\x00", "\x1f", "a\x1f7", "\x7f", "ÿ", "\U0010ffff", "é", "e\u0301", "x" * 470]
)
parts = st.tuples(
    st.none() | texts, st.none() | st.integers(-(2**62), 2**62), st.none() | st.booleans()
)


@pytest.mark.parametrize("encode_columns", [keys.few, keys.many, keys.encode_columns])
@settings(max_examples=100, deadline=None)
@given(rows=st.lists(parts, max_size=20), partitions=st.integers(1, 9))
def test_columns_of_keys_equal_keys_one_by_one(encode_columns, rows, partitions):
    columns = [
        pa.array([row[i] for row in rows], kind)
        for i, kind in enumerate((pa.string(), pa.int64(), pa.bool_()))
    ]
    found = encode_columns(columns)
    data = found.data.tobytes()
    distinct = [data[a:b] for a, b in zip(found.offsets[:-1], found.offsets[1:], strict=True)]
    assert distinct == sorted(set(distinct))
    assert [None if code < 0 else distinct[code] for code in found.codes] == [
        keys.encode(row) for row in rows
    ]
    assert keys.partitions_of(found.data, found.offsets, partitions).tolist() == [
        keys.partition_of(key, partitions) for key in distinct
    ]


single = st.lists(st.none() | texts, max_size=60)


@pytest.mark.parametrize("encode_columns", [keys.few, keys.many, keys.encode_columns])
@settings(max_examples=100, deadline=None)
@given(column=single)
def test_a_key_of_one_text_is_its_bytes_and_keys_order_as_texts_do(encode_columns, column):
    """Also the empty text, which is a key, unlike null."""
    found = encode_columns([pa.array(column, pa.string())])
    data = found.data.tobytes()
    distinct = [
        data[a:b].decode() for a, b in zip(found.offsets[:-1], found.offsets[1:], strict=True)
    ]
    assert distinct == sorted({text for text in column if text is not None})
    assert [None if code < 0 else distinct[code] for code in found.codes] == column


apart = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x1f"), max_size=4)
pairs = st.tuples(apart | st.integers(-(2**62), 2**62) | st.booleans(), apart, apart)


@settings(max_examples=300, deadline=None)
@given(pairs, pairs)
def test_two_rows_have_one_key_only_where_the_texts_of_all_their_parts_are_equal(one, other):
    """The decoder refuses the separator in a part."""
    alike = [keys.part(value) for value in one] == [keys.part(value) for value in other]
    assert (keys.encode(one) == keys.encode(other)) == alike


@pytest.mark.parametrize(
    "key", [b"", b"\x00", b"\x00\x00\x00\x00\x00", b"a", b"a\x02\x80\x00\x00\x07", b"\xff" * 480]
)
def test_storage_keys_give_back_their_view_key_and_order_by_hop_and_chunk(key):
    pairs = [(hop, chunk) for hop in range(4) for chunk in (-(2**31), -1, 0, 1, 2**31 - 1)]
    stored = [key + chunks.suffix(hop, chunk) for hop, chunk in pairs]
    assert stored == sorted(stored)
    assert {chunks.view_key(k) for k in stored} == {key}


def test_partition_of_a_storage_key_leaves_its_suffix_out():
    data = np.frombuffer(bytearray(b"customer-1\x02\x80\x00\x00\x07"), np.uint8)
    assert keys.partitions_of(data, np.array([0, len(data)]), 7, suffix=5)[0] == keys.partition_of(
        b"customer-1", 7
    )
