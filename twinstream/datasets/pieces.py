"""Which rows of a set are read together, and by whom. Pure."""

# All ranks and workers see the same order of the same pieces, so that their shares cut it into
# parts that have no row in common.

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np


class Piece(NamedTuple):
    """Rows of one row group of a file: `rows` of them, from number `first` of the group on."""

    file: int
    group: int
    first: int
    rows: int

    def cut(
        self,
        start: int,
        stop: int,
    ) -> Piece:
        """Of its rows those with the numbers from `start` to `stop`, as far as it has them."""
        begin, end = max(start, 0), min(stop, self.rows)
        return self._replace(first=self.first + begin, rows=max(0, end - begin))


class Share(NamedTuple):
    """Number `number` of `of` equal shares."""

    number: int
    of: int


def pieces_of(
    group_rows: Sequence[Sequence[int]],
    wanted: range,
) -> list[Piece]:
    """The pieces that hold these rows of a set, in their order. `group_rows[file][group]`: how many
    rows it has.
    """
    whole = [
        Piece(file, group, 0, rows)
        for file, groups in enumerate(group_rows)
        for group, rows in enumerate(groups)
    ]
    return clipped(whole, wanted.start, wanted.stop)


def clipped(
    pieces: Sequence[Piece],
    start: int,
    stop: int,
) -> list[Piece]:
    """What holds the rows with the numbers from `start` to `stop`, counted over all pieces."""
    found, before = [], 0
    for piece in pieces:
        part = piece.cut(start - before, stop - before)
        before += piece.rows
        if part.rows:
            found.append(part)
    return found


def rows_in(pieces: Sequence[Piece]) -> int:
    """How many rows they have."""
    return sum(piece.rows for piece in pieces)


def of_rank(
    pieces: Sequence[Piece],
    share: Share,
) -> list[Piece]:
    """The rows of one rank: of all ranks the same number, so that none waits for another; less than
    one row a rank is left out.
    """
    rows = rows_in(pieces) // share.of
    return clipped(pieces, share.number * rows, (share.number + 1) * rows)


def of_worker(
    pieces: Sequence[Piece],
    share: Share,
) -> list[Piece]:
    """The rows of one worker of a rank: all of them are somebody's, and the first workers have one
    more where they do not divide.
    """
    base, over = divmod(rows_in(pieces), share.of)
    start = share.number * base + min(share.number, over)
    return clipped(pieces, start, start + base + (share.number < over))


def in_any_order(
    pieces: Sequence[Piece],
    seed: int,
    pass_: int,
) -> list[Piece]:
    """The pieces in the order of one pass."""
    order = np.random.default_rng([seed, pass_]).permutation(len(pieces))
    return [pieces[number] for number in order]


def windows(
    pieces: Sequence[Piece],
    rows: int,
) -> Iterator[list[Piece]]:
    """Consecutive pieces that have so many rows or a few more, which are mixed with each other."""
    window: list[Piece] = []
    for piece in pieces:
        window.append(piece)
        if rows_in(window) >= rows:
            yield window
            window = []
    if window:
        yield window
