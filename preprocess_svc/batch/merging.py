"""Merges two streams of states in key order, a bounded part at a time: the base before, and what is new."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

import pyarrow as pa

from twinstream.algebra import kernel
from twinstream.algebra.plan import ViewPlan
from twinstream.algebra.state import StateBatch

PART = 20_000
Entry = tuple[bytes, bytes]
"""A key and a blob; the same key may come several times in a row."""


@dataclass
class Group:
    """One (view, partition): its new states in key order; to be read before the next group is asked for."""

    number: int
    states: Iterator[Entry]


def grouped(batches: Iterable[pa.RecordBatch]) -> Iterator[Group]:
    """Groups of sorted (group, key, blob) rows; rows without a key only make their group known."""
    rows = (row for batch in batches for row in zip(*(column.to_pylist() for column in batch.columns), strict=True))
    for number, of_group in groupby(rows, key=lambda row: row[0]):
        yield Group(number, ((key, blob) for _, key, blob in of_group if key is not None))


def merged(plan: ViewPlan, base: Iterator[StateBatch], new: Iterator[Entry]) -> Iterator[StateBatch]:
    """Batches of states, keys ascending over all of them, each once."""
    ahead = Ahead(new)
    for old in base:
        yield kernel.merge(plan, [old, *ahead.up_to(old.keys[-1])])
    while ahead:
        yield kernel.merge(plan, list(ahead.next_part(PART)))


class Ahead:
    """A sorted stream of entries with one of lookahead; true while there is more."""

    def __init__(self, entries: Iterator[Entry]) -> None:
        self._entries = entries
        self._next = next(entries, None)

    def __bool__(self) -> bool:
        return self._next is not None

    def up_to(self, last: bytes) -> list[StateBatch]:
        """What comes up to and with a key."""
        found = []
        while self._next is not None and self._next[0] <= last:
            found.append(self._take())
        return batches(found)

    def next_part(self, most: int) -> list[StateBatch]:
        """About `most` entries; never a part of a key's."""
        found: list[Entry] = []
        while self._next is not None and (len(found) < most or self._next[0] == found[-1][0]):
            found.append(self._take())
        return batches(found)

    def _take(self) -> Entry:
        assert self._next is not None
        taken, self._next = self._next, next(self._entries, None)
        return taken


def batches(entries: list[Entry]) -> list[StateBatch]:
    """Sorted entries as one batch; a key may stand in it more than once, which merge accepts."""
    return [StateBatch.of([key for key, _ in entries], [blob for _, blob in entries])] if entries else []
