"""What a question keeps of the row that asks it, whether that is a source's record or a row of a
given table; and the columns that stages pass on beside them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinstream.define import Model

ROW, PART, VIEW, ANSWERS = "_row", "_part", "_view", "_answers"
KNOWN_BY = "_known_by_us"
"""Our own columns between the stages, beside the user's, whose names never begin with `_`."""


class QuestionColumns:
    """Of one model's questions: the spine's fields that are inputs or keys of views (`kept`), then
    the derived inputs. `needed`: the fields that this reads, and the moment.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        spine = model.spine
        keys = {name for view in model.views for name in view.by}
        derived = {name for expression in model.derive.values() for name in expression.fields()}
        self.kept = [name for name in spine.names if name in {*model.request, *keys}]
        self.needed = {model.at, *self.kept, *derived}

    @property
    def fields(self) -> list[pa.Field]:
        """In stored types; any may be null."""
        types = {field.name: field.type for field in self._model.spine.arrow_fields}
        kept = [pa.field(name, types[name]) for name in self.kept]
        return [*kept, *(pa.field(name, pa.float64()) for name in self._model.derive)]

    def of(self, rows: pa.Table | pa.RecordBatch) -> list[pa.Array | pa.ChunkedArray]:
        """The columns of rows that have the fields in `needed`."""
        derived = self._model.derive.values()
        return [
            *(rows[name] for name in self.kept),
            *(_floats(expression.floats(rows)) for expression in derived),
        ]


def _floats(values: npt.NDArray[np.float64]) -> pa.Array:
    """NaN becomes null."""
    return pa.array(values, from_pandas=True)
