"""Views made at random: any aggregates of any fields under any conditions, against the naive way of
counting.

The naive way shares no slot, tile, state or kernel; so two features that are taken for one are
seen, whatever they are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.laws.cases import WINDOWS, batch_of, moments, source
from tests.laws.test_conditions import conditions, rows
from twinstream import (
    View,
    count,
    count_by,
    distinct,
    first,
    last,
    last_k,
    maximum,
    mean,
    minimum,
    quantile,
    share,
    std,
    sum_,
    variance,
)
from twinstream.algebra import fold, kernel
from twinstream.algebra.pit import Events, Spine, point_in_time
from twinstream.algebra.plan import ViewPlan
from twinstream.audit.plain import Row, answers
from twinstream.define.limits import FIRST_US

OF_NUMBERS = (sum_, mean, variance, std, minimum, maximum, first, last)
NUMBERS = st.sampled_from(["size", "amount", "paid", "till", "sold_at"])
ANY = st.sampled_from(list(source.fields))
CATEGORIES = {"place": ["", "a", "é"], "paid": [True, False], "size": [1, 0, 2**62]}
wheres = st.none() | conditions.map(lambda one: one.written)
aggregates = st.one_of(
    st.builds(lambda f, n, w: f(n, where=w), st.sampled_from(OF_NUMBERS), NUMBERS, wheres),
    st.builds(lambda n, k, w: last_k(n, k, where=w), NUMBERS, st.integers(1, 4), wheres),
    st.builds(
        lambda n, q, w: quantile(n, q, where=w),
        st.sampled_from(["size", "amount"]),
        st.sampled_from([0.29, 0.5, 0.58, 0.9]),
        wheres,
    ),
    st.builds(lambda n, w: count(n, where=w), st.none() | ANY, wheres),
    st.builds(lambda n, w: distinct(n, where=w), ANY, wheres),
    st.builds(lambda c, w: share(c.written, where=w), conditions, wheres),
    st.builds(
        lambda n, w: count_by(n, CATEGORIES[n], where=w), st.sampled_from(list(CATEGORIES)), wheres
    ),
)
windows = st.lists(st.sampled_from(WINDOWS), min_size=1, max_size=3, unique=True)
features = st.lists(st.builds(lambda a, w: a.over(*w), aggregates, windows), min_size=1, max_size=6)


def by_output(view: View, found: list[float]) -> dict[str, list[float]]:
    ends = np.cumsum([output.width for output in view.outputs]).tolist()
    return {o.name: found[end - o.width : end] for o, end in zip(view.outputs, ends, strict=True)}


def by_every_interpreter(
    plan: ViewPlan, records: list[dict[str, Any]], at_us: int
) -> dict[str, list[float]]:
    """The kernel in one piece, the kernel merged from single records, the sweep, and the fold."""
    batch, position = batch_of(records), np.arange(len(records))
    whole = kernel.lift(plan, batch, position)
    pieces = [
        kernel.lift(plan, batch.slice(i, 1), position[i : i + 1]) for i in range(len(records))
    ]
    merged = kernel.merge(plan, pieces[::-1])
    events = Events(batch, position, np.full(len(records), FIRST_US))
    swept = point_in_time(plan, events, Spine([b"a"], np.array([at_us])))
    return {
        "kernel": kernel.read(plan, whole.words, at_us).tolist(),
        "merged": kernel.read(plan, merged.words, at_us).tolist(),
        "sweep": swept[0].tolist(),
        "fold": fold.answers(
            plan.view, list(zip(records, range(len(records)), strict=True)), b"a", at_us
        ),
    }


@settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(features, wheres, rows, moments)
def test_any_view_answers_as_the_naive_way(found, where, records, at_us):
    named = {f"f{i}": feature for i, feature in enumerate(found)}
    view = View("v", source, by="shop", features=named, where=where)
    right = answers(view, [Row(row, i) for i, row in enumerate(records)], at_us)
    for how, numbers in by_every_interpreter(ViewPlan(view), records, at_us).items():
        given_ = by_output(view, numbers)
        wrong = {n: (how, a, given_[n]) for n, a in right.items() if not a.agrees(given_[n])}
        assert not wrong
