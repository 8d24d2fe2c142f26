"""Merges streams of states in key order, a bounded part at a time:
the base before, and what is new.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from heapq import merge as in_order
from itertools import groupby

import numpy as np
import pyarrow as pa

from twinstream.algebra import kernel
from twinstream.algebra.plan import ViewPlan
from twinstream.algebra.state import StateBatch

STEP_WORDS = 2_000_000
"""States are merged when so many words came."""


@dataclass
class Group:
    """One (view, partition): its new states as sorted parts, ascending by first key;
    to be read before the next group is asked for.
    """

    number: int
    parts: Iterator[StateBatch]


def grouped(batches: Iterable[pa.RecordBatch]) -> Iterator[Group]:
    """Groups of (group, first key, part's bytes) rows, sorted; rows without a key only make their
    group known.
    """
    rows = (
        row
        for batch in batches
        for row in zip(*(column.to_pylist() for column in batch.columns), strict=True)
    )
    for number, of_group in groupby(rows, key=lambda row: row[0]):
        yield Group(
            number,
            (StateBatch.from_bytes(part) for _, first, part in of_group if first is not None),
        )


def merged(plan: ViewPlan, *streams: Iterator[StateBatch]) -> Iterator[StateBatch]:
    """Batches of states, keys ascending over all of them, each once.

    A stream is sorted parts, ascending by first key, that may overlap.
    """
    held: list[StateBatch] = []
    fresh = 0
    for part in in_order(*streams, key=lambda part: part.key(0)):
        if fresh >= STEP_WORDS:
            ready, held = cut(held, part.key(0))
            fresh = 0
            if ready:
                yield kernel.merge(plan, ready)
        held.append(part)
        fresh += len(part.words)
    if held:
        yield kernel.merge(plan, held)


def cut(parts: Iterable[StateBatch], key: bytes) -> tuple[list[StateBatch], list[StateBatch]]:
    """What is before a key, and the rest."""
    before, rest = [], []
    for part in parts:
        at = bisect_left(range(len(part)), key, key=part.key)
        before += [part.slice(0, at)] if at > 0 else []
        rest += [part.slice(at, len(part))] if at < len(part) else []
    return before, rest


def in_parts(
    states: StateBatch,
    keys: int,
    words: int,
) -> Iterator[StateBatch]:
    """The states in runs of at most so many keys and words; a key with more words makes a run of
    its own.
    """
    start = 0
    while start < len(states):
        fit = int(np.searchsorted(states.offsets, states.offsets[start] + words, side="right")) - 1
        stop = min(max(fit, start + 1), start + keys, len(states))
        yield states.slice(start, stop)
        start = stop
