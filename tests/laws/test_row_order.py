"""Rows have one total order, and of a log partition one set of rows counts, however it is cut."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from schemas.packs import BARRIER, PACK, PackHeader
from twinstream.protocol.row_order import (
    MOST_FILE_ROWS,
    beyond_all_before,
    position_in_files,
    position_in_log,
    raw_high_after,
)

raws = st.lists(st.integers(0, 40), max_size=30)
in_log = st.tuples(st.integers(0, 10_000), st.integers(0, (1 << 44) - 1))
in_files = st.tuples(st.integers(0, 2**29), st.integers(0, MOST_FILE_ROWS - 1))


def log_position(row: tuple[int, int]) -> int:
    return int(position_in_log(row[0], np.array([row[1]]))[0])


def file_position(row: tuple[int, int]) -> int:
    return int(position_in_files(row[0], np.array([row[1]]))[0])


@given(one=in_log, other=in_log)
def test_the_log_orders_by_partition_and_raw_offset(
    one: tuple[int, int], other: tuple[int, int]
) -> None:
    assert (log_position(one) < log_position(other)) == (one < other)


@given(one=in_files, other=in_files, live=in_log)
def test_files_order_by_number_and_row_and_lie_before_the_log(
    one: tuple[int, int], other: tuple[int, int], live: tuple[int, int]
) -> None:
    assert (file_position(one) < file_position(other)) == (one < other)
    assert file_position(one) < 0 <= log_position(live)


def naive(raw: list[int]) -> list[int]:
    """The places of the rows that count, one row after the other."""
    high, counted = -1, []
    for place, offset in enumerate(raw):
        if offset > high:
            counted.append(place)
        high = max(high, offset)
    return counted


@given(raw=raws, cuts=st.lists(st.integers(0, 30), max_size=4))
def test_what_counts_does_not_depend_on_the_packs(raw: list[int], cuts: list[int]) -> None:
    """Nor on where a reader begins, when it knows the highest raw offset before."""
    edges = [0, *sorted(min(cut, len(raw)) for cut in cuts), len(raw)]
    counted, high = list[int](), -1
    for start, end in zip(edges, edges[1:], strict=False):
        part = np.array(raw[start:end], np.int64)
        counted += (np.flatnonzero(beyond_all_before(part, high)) + start).tolist()
        last = max([*raw[:end], -1])
        high = raw_high_after(high, header(PACK, len(part), last))
    assert counted == naive(raw)


def header(kind: int, rows: int, last: int) -> PackHeader:
    return PackHeader(kind=kind, epoch=1, rows=rows, raw_first=0, raw_last=last, raw_high=last)


@given(high=st.integers(-1, 99), last=st.integers(-1, 99), kind=st.sampled_from([PACK, BARRIER]))
def test_the_highest_raw_offset_never_falls(high: int, last: int, kind: int) -> None:
    assert raw_high_after(high, header(kind, 0, last)) == max(high, last)
