"""Key bytes and the partition of a key."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twinstream.algebra import keys


@pytest.mark.parametrize(("data", "signed"), [(b"21", -973932308), (b"foobar", -790332482), (b"a-little-bit-long-string", -985981536)])
def test_murmur2_gives_the_numbers_of_kafkas_java_client(data, signed):
    assert keys.murmur2(data) == signed % 2**32


def test_key_of_a_row_with_a_null_part_is_none():
    assert keys.encode(("a", None)) is None
    assert keys.encode(("a", 7, True)) == b"a\x1f7\x1ftrue"


parts = st.tuples(st.none() | st.text(max_size=5), st.none() | st.integers(-(2**62), 2**62), st.none() | st.booleans())


@pytest.mark.parametrize("encode_columns", [keys.few, keys.many, keys.encode_columns])
@settings(max_examples=100, deadline=None)
@given(rows=st.lists(parts, max_size=20), partitions=st.integers(1, 9))
def test_columns_of_keys_equal_keys_one_by_one(encode_columns, rows, partitions):
    rows = [row for row in rows if row[0] is None or row[0].isprintable()]
    columns = [pa.array([row[i] for row in rows], kind) for i, kind in enumerate((pa.string(), pa.int64(), pa.bool_()))]
    found = encode_columns(columns)
    data = found.data.tobytes()
    distinct = [data[a:b] for a, b in zip(found.offsets[:-1], found.offsets[1:], strict=True)]
    assert distinct == sorted(set(distinct))
    assert [None if code < 0 else distinct[code] for code in found.codes] == [keys.encode(row) for row in rows]
    assert keys.partitions_of(found.data, found.offsets, partitions).tolist() == [keys.partition_of(key, partitions) for key in distinct]


def test_partition_of_a_storage_key_leaves_its_suffix_out():
    data = np.frombuffer(bytearray(b"customer-1\x02\x80\x00\x00\x07"), np.uint8)
    assert keys.partitions_of(data, np.array([0, len(data)]), 7, suffix=5)[0] == keys.partition_of(b"customer-1", 7)
