"""What every view of a model would have answered at each of many questions, as of what was known
then: one join a view, on Spark.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from preprocess_svc.batch.folding.lifting import needed
from preprocess_svc.batch.history.rows import KNOWN, POSITION
from preprocess_svc.batch.history.table import History
from preprocess_svc.batch.spark.context import Context
from preprocess_svc.batch.training_sets.features import FEATURES, ViewFeatures
from preprocess_svc.batch.training_sets.parts import Parts
from preprocess_svc.batch.training_sets.questions import KNOWN_BY, ROW
from twinstream.define import Model, View
from twinstream.protocol.training_columns import AT


class ViewJoins:
    """Joins questions with the history of the epochs `1..epoch`."""

    def __init__(
        self,
        context: Context,
        history: History,
        epoch: int,
    ) -> None:
        self._groups = context.knobs.shuffle_partitions
        self._history = history
        self._epoch = epoch

    def answers(
        self,
        model: Model,
        questions: DataFrame,
        parts: Parts,
    ) -> DataFrame:
        """A row a view and question, see FEATURES; `questions` has `_row`, `_at_us`, the fields by
        which views are kept, and `_known_by_us` where that is not the moment itself.
        """
        frames = (
            self._of_view(view, number, questions, parts) for number, view in enumerate(model.views)
        )
        return reduce(DataFrame.unionByName, frames)

    def _of_view(
        self,
        view: View,
        number: int,
        questions: DataFrame,
        parts: Parts,
    ) -> DataFrame:
        rows = self._history.rows(view.source, self._epoch)
        events = rows.select(KNOWN, POSITION, *needed([view]))
        known_by = [KNOWN_BY] if KNOWN_BY in questions.columns else []
        asked = questions.select(ROW, AT, *known_by, *view.by)
        pairs = parted(asked, view.by, self._groups).cogroup(parted(events, view.by, self._groups))
        return pairs.applyInArrow(function_of(ViewFeatures(view, number, parts)), FEATURES)


def parted(
    frame: DataFrame,
    by: tuple[str, ...],
    groups: int,
) -> Any:
    """Groups that hold whole keys."""
    group = F.pmod(F.hash(*by), F.lit(groups))
    return frame.groupBy(group.alias("_group"))


def function_of(stage: Any) -> Callable[[pa.Table, pa.Table], pa.Table]:
    """Spark counts a function's parameters to see whether it wants the group's key,
    and counts an object's `self` as one.
    """

    def run(left: pa.Table, right: pa.Table) -> pa.Table:
        return stage(left, right)

    return run
