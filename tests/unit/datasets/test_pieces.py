"""Shares of ranks and workers have every row once, whatever the files are."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from twinstream.datasets.pieces import (
    Piece,
    Share,
    in_any_order,
    of_rank,
    of_worker,
    pieces_of,
    rows_in,
    windows,
)

GROUPS = st.lists(st.lists(st.integers(0, 9), max_size=5), max_size=5)


def rows(pieces: list[Piece]) -> list[tuple[int, int, int]]:
    return [
        (piece.file, piece.group, piece.first + number)
        for piece in pieces
        for number in range(piece.rows)
    ]


def whole(groups: list[list[int]]) -> list[tuple[int, int, int]]:
    return [
        (file, group, number)
        for file, sizes in enumerate(groups)
        for group, size in enumerate(sizes)
        for number in range(size)
    ]


@given(GROUPS, st.integers(0, 60), st.integers(0, 60))
def test_a_range_of_rows_is_in_its_pieces(groups: list[list[int]], start: int, stop: int) -> None:
    assert rows(pieces_of(groups, range(start, stop))) == whole(groups)[start:stop]


@given(GROUPS, st.integers(1, 5), st.integers(1, 4), st.integers(0, 3))
def test_ranks_are_equal_and_workers_have_all_of_their_rank(
    groups: list[list[int]], ranks: int, workers: int, pass_: int
) -> None:
    all_rows = whole(groups)
    pieces = in_any_order(pieces_of(groups, range(len(all_rows))), seed=3, pass_=pass_)
    shares = [of_rank(pieces, Share(rank, ranks)) for rank in range(ranks)]
    assert {rows_in(share) for share in shares} == {len(all_rows) // ranks}
    seen: list[tuple[int, int, int]] = []
    for share in shares:
        parts = [of_worker(share, Share(number, workers)) for number in range(workers)]
        assert [row for part in parts for row in rows(part)] == rows(share)
        sizes = [rows_in(part) for part in parts]
        assert sizes == sorted(sizes, reverse=True)
        assert max(sizes) - min(sizes) <= 1
        seen += rows(share)
    assert len(set(seen)) == len(seen) == len(all_rows) // ranks * ranks


@given(GROUPS, st.integers(1, 30))
def test_windows_are_the_pieces_in_their_order(groups: list[list[int]], size: int) -> None:
    pieces = pieces_of(groups, range(10**6))
    found = list(windows(pieces, size))
    assert [piece for window in found for piece in window] == pieces
    assert all(rows_in(window) >= size for window in found[:-1])


def test_each_pass_is_another_order_and_the_same_everywhere() -> None:
    pieces = pieces_of([[5] * 40], range(200))
    first, again, second = (in_any_order(pieces, 1, pass_) for pass_ in (0, 0, 1))
    assert first == again != second
    assert sorted(first) == sorted(second) == pieces
