"""How questions are spread over files, the same in Spark's columns and in its Python workers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.sql import Column
from pyspark.sql import functions as F  # noqa: N812

from preprocess_svc.batch.training_sets.questions import ROW
from twinstream.protocol.training_columns import AT

Numbers = npt.NDArray[np.int32]


class TimeParts(NamedTuple):
    """Files in the order of time: `bounds` are the moments at which a new one begins."""

    bounds: list[int]

    @property
    def column(self) -> Column:
        """The file's number in a frame of questions."""
        if not self.bounds:
            return F.lit(0)
        listed = ", ".join(f"{bound}L" for bound in self.bounds)
        return F.expr(f"cast(size(filter(array({listed}), b -> b <= {AT})) as int)")

    def of(self, asked: pa.Table) -> Numbers:
        """The same, int32[questions]."""
        found = np.searchsorted(np.array(self.bounds, np.int64), asked[AT].to_numpy(), "right")
        return found.astype(np.int32)


class RowParts(NamedTuple):
    """Files of consecutive rows: the number of its file is in a row's number, above `bits`."""

    bits: int

    @property
    def column(self) -> Column:
        """As of `TimeParts`."""
        return F.shiftright(F.col(ROW), self.bits).cast("int")

    def of(self, asked: pa.Table) -> Numbers:
        """As of `TimeParts`."""
        return (asked[ROW].to_numpy() >> self.bits).astype(np.int32)


Parts = TimeParts | RowParts


def file_bounds(
    at: np.ndarray,
    counts: np.ndarray,
    rows: int,
) -> list[int]:
    """Moments at which a new file begins, so that each holds about `rows` rows and no moment is in
    two.
    """
    before = np.cumsum(counts) - counts
    number = before // rows
    return [int(at[i]) for i in range(1, len(at)) if number[i] != number[i - 1]]
