"""Labels over the time after the question: what they are worth, and how a definition says so."""

from __future__ import annotations

import inspect
import pickle  # noqa: TID251 - as Spark ships definitions to its workers
from collections.abc import Callable
from itertools import combinations
from typing import Any

import msgspec
import numpy as np
import pytest

from twinstream import (
    Bool,
    Decimal,
    Int,
    Label,
    Source,
    String,
    Timestamp,
    any_,
    count,
    first,
    maximum,
    mean,
    share,
    sum_,
    time_to_first,
)
from twinstream.define.outcome import OutcomeAggregate
from twinstream.errors import DefinitionError

BOUGHT = Source(
    "bought",
    id="id",
    key="who",
    event_time="at",
    fields={
        "id": String(),
        "who": String(),
        "at": Timestamp(),
        "amount": Decimal(2),
        "n": Int(),
        "gift": Bool(),
    },
)


def label(value: Any, **more: Any) -> Label:
    return Label("later", BOUGHT, on="who", horizon="90d", value=value, **more)


DIFFERENT = [
    count,
    lambda: count("n"),
    lambda: count(where="gift"),
    lambda: count(where=lambda r: ~r.gift),
    lambda: count() > 0,
    lambda: count() >= 0,
    lambda: count() > 1,
    lambda: count() == 0,
    lambda: count() != 0,
    lambda: count() < 1,
    lambda: count() <= 1,
    lambda: count("n") > 0,
    any_,
    lambda: any_("gift"),
    lambda: any_(lambda r: r.n > 1),
    lambda: any_(where="gift"),
    lambda: any_("gift") == True,  # noqa: E712 - a comparison is recorded
    lambda: sum_("n"),
    lambda: sum_("amount"),
    lambda: sum_("amount") > 0.1,
    lambda: sum_("amount") > 0.10000000000000002,
    lambda: mean("amount"),
    lambda: share("gift"),
    lambda: first("gift"),
    time_to_first,
    lambda: time_to_first("n"),
    lambda: "gift",
    lambda: lambda r: r.n > 1,
]


def test_different_labels_have_different_texts() -> None:
    texts = [msgspec.json.encode(label(value()).canonical(), order="sorted") for value in DIFFERENT]
    again = [msgspec.json.encode(label(value()).canonical(), order="sorted") for value in DIFFERENT]
    assert texts == again
    assert all(one != other for one, other in combinations(texts, 2))


@pytest.mark.parametrize("value", DIFFERENT)
def test_a_label_survives_its_bytes(value: Any) -> None:
    made = label(value())
    assert pickle.loads(pickle.dumps(made)).canonical() == made.canonical()


def test_a_literal_on_the_left_is_the_same_comparison() -> None:
    assert label(count() > 0).canonical() == label(count() > 0).canonical()
    assert label(maximum("n") == 3).canonical() == label(maximum("n") == 3).canonical()
    assert label(np.int64(3) == maximum("n")).canonical() == label(maximum("n") == 3).canonical()


@pytest.mark.parametrize(
    ("value", "binary"),
    [(count(), False), (count() > 0, True), (any_("gift"), True), (first("gift"), False)],
)
def test_a_comparison_makes_a_label_binary(value: Any, binary: bool) -> None:
    assert label(value).binary == binary


def test_a_comparison_with_nothing_is_nothing() -> None:
    value = label(sum_("amount") > 1).value
    assert isinstance(value, OutcomeAggregate)
    np.testing.assert_array_equal(value.labels(np.array([2.0, 1.0, np.nan])), [1.0, 0.0, np.nan])


@pytest.mark.parametrize(
    "write",
    [
        lambda: (count() > 0) > 0,
        lambda: 1 < (count() > 0),  # noqa: SIM300
        lambda: sum_("n") * 2,
        lambda: 2 * sum_("n"),
        lambda: sum_("n") - mean("n") > 0,
        lambda: -sum_("n") < 0,
        lambda: sum_("n") / count(),
        lambda: (count() > 0) & (sum_("n") > 0),
        lambda: ~(count() > 0),
        lambda: 0 < count() < 5,
    ],
)
def test_what_no_label_computes_is_refused_with_its_line(write: Callable[[], Any]) -> None:
    with pytest.raises(DefinitionError, match="compare") as caught:
        write()
    assert __file__ in str(caught.value)


def test_the_line_of_a_mistake_is_that_of_the_aggregate() -> None:
    here = inspect.currentframe()
    assert here is not None
    start = here.f_lineno
    with pytest.raises(DefinitionError) as caught:
        Label(
            "later",
            BOUGHT,
            on="who",
            horizon="90d",
            value=sum_("amuont") > 3,
        )
    assert caught.value.line == start + 7
