"""Training features: for each spine row what `read` would have answered from all that was known at
its moment, and from nothing later.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinstream.algebra import columns, keys
from twinstream.algebra.compiled import sweep
from twinstream.algebra.kernel import counting, own, side_by_side
from twinstream.algebra.plan import ViewPlan

Words = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class Events(NamedTuple):
    """Records of the view's source, in any order: `batch` with the source's fields, `position` and
    `known_us` int64[rows].
    """

    batch: pa.RecordBatch
    position: Words
    known_us: Words


class Spine(NamedTuple):
    """Moments at which features are asked for, in any order: view keys (bytes, or an Arrow binary
    array; null: no key) and int64 `at_us`.

    `known_by_us`: take what was known by then instead (default `at_us`); the windows still end at
    `at_us`.
    """

    keys: Sequence[bytes | None] | pa.Array
    at_us: Words
    known_by_us: Words | None = None


def point_in_time(plan: ViewPlan, events: Events, spine: Spine) -> Floats:
    """float64 [spine rows, n_out]: row i is `read` of the fold of its key's events with known_us <=
    at_us[i].

    One sweep a hop: the events of a key in the order in which they became known, each spine row in
    between at its moment.
    """
    batch, position, known = counting(plan, events.batch, events.position, events.known_us)
    key = keys.encode_columns([batch.column(name) for name in plan.view.by])
    asked = _codes(spine.keys, key)
    known_by = spine.at_us if spine.known_by_us is None else spine.known_by_us
    values, valid = columns.take(plan.columns, batch)
    out = np.empty((len(spine.at_us), plan.n_out), np.float64)
    time = columns.integers(batch.column(plan.view.source.event_time))
    order = np.lexsort((known, key.codes))
    learned = sweep.EventColumns(
        key.codes[order],
        time[order],
        position[order],
        known[order],
        side_by_side(values, order),
        side_by_side(valid, order),
    )
    at, by = own(spine.at_us), own(known_by)
    asking = np.lexsort((known_by, asked))
    sweep.sweep(plan.tables, learned, sweep.AskedColumns(asking, asked, at, by, out))
    return out


def _codes(asked: Sequence[bytes | None] | pa.Array, key: keys.KeyColumn) -> Words:
    """The number of each asked key among those of the events, -1 when no event has it."""
    wanted = (
        asked.cast(pa.binary()) if isinstance(asked, pa.Array) else pa.array(asked, pa.binary())
    )
    present = pa.Array.from_buffers(
        pa.binary(),
        len(key.offsets) - 1,
        [None, pa.py_buffer(key.offsets.astype(np.int32)), pa.py_buffer(key.data)],
    )
    return (
        pc.index_in(wanted, value_set=present, skip_nulls=True)
        .fill_null(-1)
        .to_numpy()
        .astype(np.int64)
    )
