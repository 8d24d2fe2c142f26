"""Rows of the history to states, by target partition, in parts that are good to shuffle."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa

from preprocess_svc.batch.folding.fold import Fold
from preprocess_svc.batch.folding.merging import in_parts
from preprocess_svc.batch.folding.pruning import first_tiles
from preprocess_svc.batch.history.rows import POSITION
from twinstream.algebra import columns, kernel
from twinstream.algebra.layout import HEADER
from twinstream.algebra.plan import ViewPlan
from twinstream.algebra.state import StateBatch
from twinstream.define import Expr, View

LIFT_WORDS = 12_000_000
"""About so many words are lifted at a time: the more, the more is combined before the shuffle."""
PART_KEYS, PART_WORDS = 2_000, 65_536
"""States are shuffled in parts of so many: as few rows for Spark as can be, small enough for many
of them to be merged at a time.
"""
STATES = "group int, first_key binary, part binary"
STATES_SCHEMA = pa.schema(
    [("group", pa.int32()), ("first_key", pa.binary()), ("part", pa.binary())]
)


def to_lift(views: list[View]) -> list[str]:
    """The columns of the history that a lift reads: `_position` only where it decides a byte,
    for it is hard to compress.
    """
    ties = any(ViewPlan(view).tells_ties for view in views)
    return [*([POSITION] if ties else []), *needed(views)]


def needed(views: Iterable[View]) -> list[str]:
    """The fields that these views of one source read."""
    names: set[str] = set()
    for view in views:
        names |= {*view.by, view.source.event_time, *_fields_of(view.where)}
        for column in ViewPlan(view).columns:
            names |= _fields_of(column.of) | _fields_of(column.where)
    return sorted(names)


def _fields_of(what: Expr | str | None) -> set[str]:
    """That an expression, or a field by its name, reads."""
    if what is None:
        return set()
    return {what} if isinstance(what, str) else what.fields()


class Lift:
    """Rows of one source to states of its views, by group."""

    def __init__(
        self,
        folds: list[Fold],
        numbers: list[int],
        partitions: int,
    ) -> None:
        self._folds = folds
        self._numbers = numbers
        self._partitions = partitions

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        plans = {number: ViewPlan(self._folds[number].view) for number in self._numbers}
        since = {number: first_tiles(self._folds[number].since) for number in plans}
        for rows in larger(batches, lift_rows(plans.values())):
            position, shared = _positions(rows), columns.Shared(rows)
            for n, plan in plans.items():
                states = kernel.lift(plan, rows, position, since=since[n], shared=shared)
                yield from self._parts(n, states)

    def _parts(self, number: int, states: StateBatch) -> Iterator[pa.RecordBatch]:
        """States of a fold, by partition of its view."""
        for partition, part in enumerate(kernel.by_partition(states, self._partitions)):
            if len(part):
                yield _states(number * self._partitions + partition, part)


def _positions(rows: pa.RecordBatch) -> np.ndarray:
    """int64; zeros where no view asks for them."""
    if POSITION in rows.schema.names:
        return rows[POSITION].to_numpy()
    return np.zeros(rows.num_rows, np.int64)


def lift_rows(plans: Iterable[ViewPlan]) -> int:
    """How many rows are lifted at a time: views with many aggregates take fewer."""
    return LIFT_WORDS // max(
        sum(HEADER + hop.words + 2 * len(hop.sparse) for hop in plan.hops) for plan in plans
    )


def larger(batches: Iterable[pa.RecordBatch], most: int) -> Iterator[pa.RecordBatch]:
    """The same rows in larger batches, so that a lift has more to combine."""
    held: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        held.append(batch)
        count += batch.num_rows
        if count >= most:
            yield from pa.Table.from_batches(held).combine_chunks().to_batches()
            held, count = [], 0
    if count:
        yield from pa.Table.from_batches(held).combine_chunks().to_batches()


def _states(group: int, states: StateBatch) -> pa.RecordBatch:
    parts = list(in_parts(states, PART_KEYS, PART_WORDS))
    found = [
        pa.array([group] * len(parts), pa.int32()),
        pa.array([p.key(0) for p in parts], pa.binary()),
        pa.array([p.to_bytes() for p in parts], pa.binary()),
    ]
    return pa.RecordBatch.from_arrays(found, schema=STATES_SCHEMA)
