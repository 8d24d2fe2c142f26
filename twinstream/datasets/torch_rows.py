"""Batches of tensors from the rows of a training set."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from typing import NamedTuple

import msgspec
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from twinstream.datasets.arrays import Block, BlockReader, joined
from twinstream.datasets.pieces import (
    Piece,
    Share,
    in_any_order,
    of_rank,
    of_worker,
    rows_in,
    windows,
)
from twinstream.datasets.stored_set import Dataset


class Passing(msgspec.Struct, frozen=True, kw_only=True):
    """How the rows go by. Raises ValueError for what cannot be."""

    batch_rows: int
    shuffle: bool
    seed: int
    window_rows: int
    share: Share

    def __post_init__(self) -> None:
        if min(self.batch_rows, self.window_rows) < 1 or self.seed < 0:
            raise ValueError("batch_rows and window_rows are at least 1, seed is at least 0")
        rank, ranks = self.share
        if not 0 <= rank < ranks:
            raise ValueError(f"rank {rank} is not one of {ranks} ranks, counted from 0")


class TensorBatch(NamedTuple):
    """n rows as tensors: float32[n, N] with NaN for null, int64[n, C] places in the vocabulary
    (0: unknown or null), float32[n, S, K], float32[n] labels, int64[n] moments in microseconds.
    """

    numeric: Tensor
    categorical: Tensor
    sequences: Tensor
    label: Tensor
    at_us: Tensor


class TorchRows(IterableDataset[TensorBatch]):
    """One pass over the rows of a rank each time that it is iterated: say `set_pass` before each,
    else the order is the same again.

    A pass that was interrupted goes on where it was: give its `state_dict()`, kept beside the
    network's, to `load_state_dict`.
    """

    def __init__(
        self,
        dataset: Dataset,
        how: Passing,
    ) -> None:
        super().__init__()
        self._paths = dataset.paths
        self._inputs = dataset.inputs
        self._categories = dataset.statistics.categories
        self._pieces = dataset.pieces()
        self._how = how
        self._pass = 0
        self._begin = 0
        self._used = 0

    def batches(
        self,
        workers: int = 0,
    ) -> int:
        """How many batches a pass of this rank has, when so many workers share it."""
        pieces = of_rank(self._pieces, self._how.share)
        shares = [Share(number, max(1, workers)) for number in range(max(1, workers))]
        rows = [rows_in(of_worker(pieces, share)) for share in shares]
        return sum(-(-count // self._how.batch_rows) for count in rows)

    def set_pass(
        self,
        number: int,
    ) -> None:
        """Another order from the next iteration on; all ranks are to say the same number."""
        self.load_state_dict({"pass": number, "batches": 0})

    def state_dict(self) -> dict[str, int]:
        """Where the iteration in this process is. Where workers read, count the batches that you
        used.
        """
        return {"pass": self._pass, "batches": self._used}

    def load_state_dict(
        self,
        state: Mapping[str, int],
    ) -> None:
        """The next iteration is that pass, after so many batches; by as many workers as before."""
        if min(state["pass"], state["batches"]) < 0:
            raise ValueError("pass and batches are at least 0")
        self._pass, self._begin = state["pass"], state["batches"]

    def __iter__(self) -> Iterator[TensorBatch]:
        self._used, self._begin = self._begin, 0
        share = _turn(self._used)
        skipped = max(0, -(-(self._used - share.number) // share.of))
        for block in self._batches(share, skipped * self._how.batch_rows):
            self._used += 1
            yield TensorBatch._make(map(torch.from_numpy, block))

    def _batches(
        self,
        share: Share,
        skipped_rows: int,
    ) -> Iterator[Block]:
        """The blocks of one worker, without the first so many rows."""
        size = self._how.batch_rows
        left: Block | None = None
        for window in self._windows(share, skipped_rows):
            lacking = size - left.rows if left is not None else 0
            first = window.take(slice(0, lacking))
            begun = first if left is None else joined([left, first])
            if begun.rows == size:
                yield begun
            left = begun
            if begun.rows in {0, size}:
                left = yield from _sliced(window.take(slice(lacking, None)), size)
        if left is not None:
            yield left

    def _windows(
        self,
        share: Share,
        skipped_rows: int,
    ) -> Iterator[Block]:
        """The rows of each window in the order of the pass; those to be skipped are not read where
        a whole window is.
        """
        how = self._how
        reader = BlockReader(self._paths, self._inputs, self._categories)
        for number, window in enumerate(windows(self._shared(share), how.window_rows)):
            rows = rows_in(window)
            if rows > skipped_rows:
                order = self._order(rows, (share.number, number))
                yield reader.read(window).take(order[skipped_rows:])
            skipped_rows = max(0, skipped_rows - rows)

    def _shared(
        self,
        share: Share,
    ) -> list[Piece]:
        """The pieces of one worker of this rank, in the order of the pass."""
        how = self._how
        pieces = self._pieces
        if how.shuffle:
            pieces = in_any_order(pieces, how.seed, self._pass)
        return of_worker(of_rank(pieces, how.share), share)

    def _order(
        self,
        rows: int,
        window: tuple[int, int],
    ) -> np.ndarray:
        """The rows of a window, as they come."""
        if not self._how.shuffle:
            return np.arange(rows)
        seeds = [self._how.seed, self._pass, self._how.share.number, *window]
        return np.random.default_rng(seeds).permutation(rows)


def _sliced(
    block: Block,
    size: int,
) -> Generator[Block, None, Block | None]:
    """The whole blocks of so many rows; returns what is left, None for nothing."""
    whole = block.rows // size * size
    for start in range(0, whole, size):
        yield block.take(slice(start, start + size))
    return block.take(slice(whole, None)) if whole < block.rows else None


def _turn(used: int) -> Share:
    """The share of this worker, after so many batches were used. Batches come from the workers in
    turns, and a loader asks its first worker first: that one goes on with whose turn it was.
    """
    worker = get_worker_info()
    if worker is None:
        return Share(0, 1)
    return Share((worker.id + used) % worker.num_workers, worker.num_workers)
