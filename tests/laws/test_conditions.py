"""Conditions mean what is written, in every interpreter. Each is built twice:
as users write it, and as a function of plain Python.

The function shares neither the tree of the expression nor its text, so two expressions that are
taken for one are seen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.laws.cases import batch_of, edge_numbers, edge_texts, moments, source
from twinstream import View, count, share
from twinstream.algebra import fold, kernel
from twinstream.algebra.pit import Events, Spine, point_in_time
from twinstream.algebra.plan import ViewPlan

LIMIT = 2**62


class Condition(NamedTuple):
    """As users write it, and what it is for a record: True, False or None (null)."""

    written: Callable[[Any], Any]
    meant: Callable[[dict[str, Any]], bool | None]


def of(field: str, written: Callable[[Any], Any], meant: Callable[[Any], bool | None]) -> Condition:
    """A condition on one field, which is null where the field is."""
    return Condition(
        lambda r: written(r[field]), lambda row: None if row[field] is None else meant(row[field])
    )


def bounded(value: int) -> int | None:
    return value if abs(value) <= LIMIT else None


def doubled_is_positive(value: int) -> bool | None:
    total = bounded(value + value)
    return None if total is None else total > 0


LEAVES = [
    Condition(lambda r: r.paid, lambda row: row["paid"]),
    of("size", lambda f: f > 3, lambda v: v > 3),
    of("size", lambda f: f == -1, lambda v: v == -1),
    of("size", lambda f: f + f > 0, doubled_is_positive),
    of("size", lambda f: f.isin([1, 3, LIMIT]), lambda v: v in (1, 3, LIMIT)),
    of("amount", lambda f: f <= 0.01, lambda v: v <= 1),
    of("amount", lambda f: f.isin([0, 0.01]), lambda v: v in (0, 1)),
    of("place", lambda f: f == "a", lambda v: v == "a"),
    of("place", lambda f: f.isin(["", "é"]), lambda v: v in ("", "é")),
    Condition(lambda r: r.place.is_null(), lambda row: row["place"] is None),
    Condition(lambda r: r.paid.is_null(), lambda row: row["paid"] is None),
    Condition(
        lambda r: r.sold_at.hour < 6,
        lambda row: row["sold_at"] % 86_400_000_000 < 6 * 3_600_000_000,
    ),
]


def negated(one: Condition) -> Condition:
    def meant(row: dict[str, Any]) -> bool | None:
        found = one.meant(row)
        return None if found is None else not found

    return Condition(lambda r: ~one.written(r), meant)


def is_null(one: Condition) -> Condition:
    return Condition(lambda r: one.written(r).is_null(), lambda row: one.meant(row) is None)


def both(one: Condition, other: Condition) -> Condition:
    def meant(row: dict[str, Any]) -> bool | None:
        found = one.meant(row), other.meant(row)
        return None if None in found else all(found)

    return Condition(lambda r: one.written(r) & other.written(r), meant)


def either(one: Condition, other: Condition) -> Condition:
    def meant(row: dict[str, Any]) -> bool | None:
        found = one.meant(row), other.meant(row)
        return None if None in found else any(found)

    return Condition(lambda r: one.written(r) | other.written(r), meant)


def grown(smaller: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
    two = st.tuples(smaller, smaller)
    return (
        smaller.map(negated)
        | smaller.map(is_null)
        | two.map(lambda t: both(*t))
        | two.map(lambda t: either(*t))
    )


conditions = st.recursive(st.sampled_from(LEAVES), grown, max_leaves=6)
rows = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.just("x"),
            "shop": st.just("a"),
            "till": st.just(7),
            "sold_at": moments,
            "size": edge_numbers,
            "amount": edge_numbers,
            "paid": st.sampled_from([None, True, False]),
            "place": edge_texts,
        }
    ),
    min_size=1,
    max_size=12,
)


def answers_of(plan: ViewPlan, records: list[dict[str, Any]]) -> list[list[float]]:
    """By the kernel, the sweep and the fold."""
    batch, position = batch_of(records), np.arange(len(records))
    state = kernel.lift(plan, batch, position)
    swept = point_in_time(
        plan,
        Events(batch, position, np.zeros(len(records), np.int64)),
        Spine([b"a"], np.zeros(1, np.int64)),
    )
    folded = fold.answers(plan.view, [(row, i) for i, row in enumerate(records)], b"a", 0)
    return [kernel.read(plan, state.words, 0).tolist(), swept[0].tolist(), folded]


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(st.lists(conditions, min_size=1, max_size=5), rows)
def test_conditions_of_one_view_mean_what_is_written(found, records):
    features = {f"n{i}": count(where=one.written).over("all") for i, one in enumerate(found)}
    features |= {f"s{i}": share(one.written).over("all") for i, one in enumerate(found)}
    plan = ViewPlan(View("v", source, by="shop", features=features))
    meant = [[one.meant(row) for row in records] for one in found]
    counts = [float(values.count(True)) for values in meant]
    known = [len(values) - values.count(None) for values in meant]
    shares = [n / k if k else float("nan") for n, k in zip(counts, known, strict=True)]
    for answers in answers_of(plan, records):
        np.testing.assert_array_equal(answers, [*counts, *shares])


@settings(max_examples=50, deadline=None)
@given(conditions, rows)
def test_condition_of_a_view_keeps_the_records_for_which_it_is_true(one, records):
    plan = ViewPlan(
        View("v", source, by="shop", features={"n": count().over("all")}, where=one.written)
    )
    kept = sum(one.meant(row) is True for row in records)
    for answers in answers_of(plan, records):
        assert answers == [float(kept)]
