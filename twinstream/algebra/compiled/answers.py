"""The answer of each form. Written by `python -m twinstream.algebra.generate`."""

from __future__ import annotations

import math

from twinstream.algebra.aggregates.count import answer as answer_count
from twinstream.algebra.aggregates.count_by import answer as answer_count_by
from twinstream.algebra.aggregates.distinct import answer as answer_distinct
from twinstream.algebra.aggregates.last_k import answer as answer_last_k
from twinstream.algebra.aggregates.mean import answer as answer_mean
from twinstream.algebra.aggregates.minimum import answer as answer_minimum
from twinstream.algebra.aggregates.quantile import answer as answer_quantile
from twinstream.algebra.aggregates.share import answer as answer_share
from twinstream.algebra.aggregates.std import answer as answer_std
from twinstream.algebra.aggregates.sum import answer as answer_sum
from twinstream.algebra.aggregates.time_since_last import answer as answer_time_since_last
from twinstream.algebra.aggregates.variance import answer as answer_variance
from twinstream.algebra.compiled.jit import compiled_late
from twinstream.algebra.merged import Merged, Slots


@compiled_late
def answer_of_form(form: int, m: Merged, s: Slots) -> float:
    if form == 0:
        return answer_count(m, s)
    if form == 1:
        return answer_sum(m, s)
    if form == 2:
        return answer_mean(m, s)
    if form == 3:
        return answer_variance(m, s)
    if form == 4:
        return answer_std(m, s)
    if form == 5:
        return answer_minimum(m, s)
    if form == 6:
        return answer_last_k(m, s)
    if form == 7:
        return answer_share(m, s)
    if form == 8:
        return answer_count_by(m, s)
    if form == 9:
        return answer_quantile(m, s)
    if form == 10:
        return answer_distinct(m, s)
    if form == 11:
        return answer_time_since_last(m, s)
    return math.nan
