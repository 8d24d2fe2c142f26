"""The algebra over many records and keys at once: lift, merge, read. What it does, `fold.py` says
in plain Python.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinstream.algebra import chunks, columns, keys, layout, windows
from twinstream.algebra.compiled import hashing, lifting, merging, order, reading, splitting
from twinstream.algebra.errors import StateFormError
from twinstream.algebra.plan import ViewPlan
from twinstream.algebra.state import StateBatch
from twinstream.algebra.tables import ENTRY_START

Words = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
EVERYTHING = -(1 << 38)  # before every tile


class Pieces(NamedTuple):
    """Blobs of some keys in any order: those in `words[offsets[j]:offsets[j + 1]]` are of key
    number `owner[j]`.
    """

    words: Words
    offsets: Words
    owner: Words


def lift(
    plan: ViewPlan,
    batch: pa.RecordBatch,
    position: Words,
    *,
    chunked: bool = False,
    since: Sequence[int] | Words = (EVERYTHING,) * 4,
    shared: columns.Shared | None = None,
) -> StateBatch:
    """The states of a batch of records, by view key, or by storage key when `chunked`; no tile of
    hop h before `since[h]`.

    `batch` holds the source's fields; `position` int64[rows] is each row's place in the order of
    ties. Rows that do not meet the view's condition, or have a null in the key, do not count.
    `shared`: what other views have taken of the batch.
    """
    batch, position = counting(plan, batch, position)
    return (
        StateBatch.empty()
        if batch.num_rows == 0
        else _lifted(plan, batch, position, np.array(since, np.int64), shared, chunked=chunked)
    )


def _lifted(
    plan: ViewPlan,
    batch: pa.RecordBatch,
    position: Words,
    since: Words,
    shared: columns.Shared | None = None,
    *,
    chunked: bool,
) -> StateBatch:
    """`lift` of one or more rows that all count."""
    key = keys.encode_columns([batch.column(name) for name in plan.view.by])
    time = columns.integers(batch.column(plan.view.source.event_time))
    values, valid = columns.take(plan.columns, batch, shared)
    row = _by_key_and_time(plan, key.codes, time)
    records = lifting.RecordColumns(
        key.codes[row],
        time[row],
        position[row],
        side_by_side(values, row),
        side_by_side(valid, row),
    )
    words, entries = lifting.lift_rows(plan.tables, since, records, chunked)
    data, offsets = lifting.entry_keys(key.data, key.offsets, entries, chunked)
    lifted = StateBatch(data, offsets, np.append(entries[:, ENTRY_START], len(words)), words)
    return _sorted(lifted) if chunked else lifted


def merge(plan: ViewPlan, batches: Sequence[StateBatch]) -> StateBatch:
    """The merge of batches whose keys are of one sort; raises StateFormError."""
    joined = _joined(batches)
    ranked = order.sorted_order(joined.key_data, joined.key_offsets)
    words, offsets, firsts, fault = merging.merge_entries(plan.tables, *_parts(joined), ranked)
    check(plan, fault)
    data, key_offsets = joined.take_keys(firsts)
    return StateBatch(data, key_offsets, offsets, words)


def merge_blobs(plan: ViewPlan, blobs: Sequence[bytes]) -> bytes:
    """One canonical blob for blobs of one key."""
    return merge(plan, [StateBatch.of([b""], [blob]) for blob in blobs]).blob(0) if blobs else b""


def split_chunks(plan: ViewPlan, batch: StateBatch) -> StateBatch:
    """The same states by storage key (view key, hop, chunk)."""
    entries, fault = splitting.chunk_entries(plan.tables, batch.offsets, batch.words)
    check(plan, fault)
    data, offsets = lifting.entry_keys(batch.key_data, batch.key_offsets, entries, True)
    return _sorted(
        StateBatch(data, offsets, np.append(entries[:, ENTRY_START], len(batch.words)), batch.words)
    )


def prune(plan: ViewPlan, batch: StateBatch, since: Sequence[int]) -> StateBatch:
    """The batch without the rows of hop h whose tile is before `since[h]`, and without keys that
    have no row left.
    """
    words, offsets, kept, fault = splitting.newer_rows(
        plan.tables, batch.offsets, batch.words, np.array(since, np.int64)
    )
    check(plan, fault)
    return StateBatch(*batch.take_keys(kept), offsets, words)


def by_partition(batch: StateBatch, partitions: int, *, chunked: bool = False) -> list[StateBatch]:
    """The batch cut by the partition of each view key; `chunked`: its keys are storage keys."""
    target = hashing.partitions(
        batch.key_data, batch.key_offsets, partitions, chunks.SUFFIX if chunked else 0
    )
    found = [np.flatnonzero(target == p) for p in range(partitions)]
    return [batch if len(rows) == len(batch) else batch.take(rows) for rows in found]


def read(plan: ViewPlan, words: Words, at_us: int) -> Floats:
    """The answers [n_out] of one key at a moment from its (concatenated) blobs; NaN is null. Raises
    StateFormError.
    """
    out = np.empty(plan.n_out, np.float64)
    check(plan, reading.read_alone(plan.tables, own(words), at_us, out))
    return out


def read_many(plan: ViewPlan, words: Words, offsets: Words, at_us: Words) -> Floats:
    """The answers [n, n_out]: of key i from the blobs in `words[offsets[i]:offsets[i + 1]]`, at
    `at_us[i]`.
    """
    each = np.arange(len(at_us))
    return read_pieces(plan, Pieces(words, offsets, each), each, at_us)


def read_pieces(plan: ViewPlan, pieces: Pieces, asked: Words, at_us: Words) -> Floats:
    """The answers [n, n_out]: row i is what key `asked[i]` answers at `at_us[i]`."""
    out = np.empty((len(at_us), plan.n_out), np.float64)
    check(
        plan,
        reading.read_each(
            plan.tables,
            own(pieces.words),
            own(pieces.offsets),
            own(pieces.owner),
            own(asked),
            own(at_us),
            out,
        ),
    )
    return out


def warm_up(plan: ViewPlan) -> None:
    """Compile, or load from disk, everything that a service calls, so that no first request waits."""
    schema = plan.view.source.schema
    batch = pa.RecordBatch.from_arrays(
        [pa.array(["0"]).cast(field.type) for field in schema], schema=schema
    )
    state = _lifted(plan, batch, np.zeros(1, np.int64), np.full(4, EVERYTHING), chunked=True)
    merged = merge(plan, [state, split_chunks(plan, state)])
    chunks.suffixes_of(merged)
    by_partition(prune(plan, merged, (0, 0, 0, 0)), 1)
    read(plan, merged.words[:0], 0)
    read_many(plan, merged.words[:0], np.zeros(2, np.int64), np.zeros(1, np.int64))


def counting(plan: ViewPlan, batch: pa.RecordBatch, *beside: Words) -> tuple[Any, ...]:
    """The rows that exist for the view, and what lies beside them."""
    keep = (
        np.ones(batch.num_rows, np.bool_)
        if plan.view.where is None
        else plan.view.where.condition(batch)
    )
    for name in plan.view.by:
        if batch.column(name).null_count:
            keep &= batch.column(name).is_valid().to_numpy(zero_copy_only=False)
    if keep.all():
        return batch, *(own(array) for array in beside)
    return batch.filter(pa.array(keep)), *(own(array[keep]) for array in beside)


def side_by_side(columns: npt.NDArray[Any], row: Words) -> npt.NDArray[Any]:
    """The columns with their rows in this order, so that the loops read memory forwards."""
    return np.take(columns, row, axis=1)


def _by_key_and_time(plan: ViewPlan, codes: Words, time: Words) -> Words:
    """Row numbers, ordered by key and then by tile; within a tile the order has no meaning."""
    finest = windows.HOP_US[plan.hops[0].hop]
    if finest == 0:
        return np.argsort(codes)
    tile = time // finest
    tile -= tile.min()
    return np.argsort(codes * (int(tile.max()) + 1) + tile)


def _sorted(batch: StateBatch) -> StateBatch:
    """In key order: storage keys of two view keys can interleave when one is the beginning of the
    other.
    """
    ranked = order.sorted_order(batch.key_data, batch.key_offsets)
    return batch if bool((ranked[1:] > ranked[:-1]).all()) else batch.take(ranked)


def _joined(batches: Sequence[StateBatch]) -> StateBatch:
    """All entries of all batches, as they come."""
    if len(batches) == 1:
        return batches[0]
    if not batches:
        return StateBatch.empty()
    return StateBatch(
        np.concatenate([b.key_data for b in batches]),
        _end_to_end([b.key_offsets for b in batches]),
        _end_to_end([b.offsets for b in batches]),
        np.concatenate([b.words for b in batches]),
    )


def _end_to_end(offsets: Sequence[Words]) -> Words:
    """Offsets of runs of parts that lie side by side."""
    starts = np.cumsum([0, *(int(o[-1]) for o in offsets)])
    return np.concatenate(
        [starts[:1], *(o[1:] + start for o, start in zip(offsets, starts, strict=False))]
    )


def _parts(batch: StateBatch) -> tuple[npt.NDArray[np.uint8], Words, Words, Words]:
    return batch.key_data, batch.key_offsets, batch.offsets, batch.words


def own(array: Words) -> Words:
    """The array as the compiled loops take it: int64, contiguous, writable (so that they are
    compiled for one type only).
    """
    array = np.ascontiguousarray(array, np.int64)
    return array if array.flags.writeable else array.copy()


def check(plan: ViewPlan, fault: int) -> None:
    """Raise what a compiled loop found wrong."""
    if fault == layout.MALFORMED:
        raise StateFormError(
            f"words that are not a state of view {plan.view.name!r}: was it written under another definition?"
        )
