"""What one view would have answered at each question: a sweep over the events of some keys,
in the order in which they became known.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from preprocess_svc.batch.history.rows import KNOWN, POSITION, one_batch
from preprocess_svc.batch.training_sets.parts import Parts
from preprocess_svc.batch.training_sets.questions import ANSWERS, KNOWN_BY, PART, ROW, VIEW
from twinstream.algebra.pit import Events, Spine, point_in_time
from twinstream.algebra.plan import ViewPlan
from twinstream.define import View
from twinstream.define.record_keys import key_text
from twinstream.protocol.training_columns import AT

FEATURES = f"{PART} int, {ROW} bigint, {VIEW} int, {ANSWERS} binary"
ANSWERS_SCHEMA = pa.schema(
    [(PART, pa.int32()), (ROW, pa.int64()), (VIEW, pa.int32()), (ANSWERS, pa.binary())]
)
ARRAY_BYTES = 2**30
"""An Arrow array of binary has less than 2 GiB: the answers of many questions make several."""


class ViewFeatures:
    """Runs in Spark's Python workers, on all questions and all events of some keys of view number
    `number`.

    An answer is the float64 numbers of the view's outputs, as bytes; NaN is null. It is made of
    what was known at the question's moment, or by its `_known_by_us` where questions have one.
    """

    def __init__(
        self,
        view: View,
        number: int,
        parts: Parts,
    ) -> None:
        self._view = view
        self._number = number
        self._parts = parts

    def __call__(self, asked: pa.Table, events: pa.Table) -> pa.Table:
        asked = asked.combine_chunks()
        columns = [
            pa.array(self._parts.of(asked)),
            asked[ROW],
            pa.array(np.full(asked.num_rows, self._number, np.int32)),
            as_bytes(self._answers(asked, events)),
        ]
        return pa.Table.from_arrays(columns, schema=ANSWERS_SCHEMA)

    def _answers(self, asked: pa.Table, events: pa.Table) -> np.ndarray:
        """float64 [questions, outputs]."""
        known = Events(
            one_batch(events),
            events[POSITION].to_numpy(),
            events[KNOWN].to_numpy(),
        )
        return point_in_time(ViewPlan(self._view), known, self._spine(asked))

    def _spine(self, asked: pa.Table) -> Spine:
        key = key_text(one_batch(asked), self._view.by)
        known_by = asked[KNOWN_BY].to_numpy() if KNOWN_BY in asked.column_names else None
        return Spine(key.cast(pa.binary()), asked[AT].to_numpy(), known_by)


def as_bytes(answers: np.ndarray, most_bytes: int = ARRAY_BYTES) -> pa.ChunkedArray:
    """Each row's numbers as one binary value, without copying."""
    data = np.ascontiguousarray(answers)
    at_once = max(1, most_bytes // (8 * max(1, data.shape[1])))
    return pa.chunked_array(
        [_one_array(data[i : i + at_once]) for i in range(0, len(data), at_once)], pa.binary()
    )


def _one_array(data: np.ndarray) -> pa.Array:
    offsets = np.arange(len(data) + 1, dtype=np.int32) * np.int32(8 * data.shape[1])
    return pa.Array.from_buffers(
        pa.binary(), len(data), [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    )


def numbers(answers: pa.ChunkedArray, width: int) -> np.ndarray:
    """The inverse of `as_bytes`: float64 [rows, width]."""
    return np.concatenate(
        [np.zeros((0, width)), *(_numbers(chunk, width) for chunk in answers.chunks if len(chunk))]
    )


def _numbers(answers: pa.Array, width: int) -> np.ndarray:
    _, offsets, data = answers.buffers()
    start = np.frombuffer(offsets, np.int32, 1, 4 * answers.offset)[0]
    return np.frombuffer(data, np.float64, len(answers) * width, int(start)).reshape(-1, width)
