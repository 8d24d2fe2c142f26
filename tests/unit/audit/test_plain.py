"""The naive aggregator: it agrees with the algebra where that is right, and sees what the algebra's
own oracles cannot.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.laws.cases import columns_of, moments, placed, plan_of, records
from twinstream import Bool, Int, Source, String, Timestamp, View, count
from twinstream.algebra import kernel, keys
from twinstream.audit.meaning import holds, value
from twinstream.audit.plain import Row, answers, window
from twinstream.define.expressions import Row as Recorded

PLAN = plan_of("everything")


def split(view: View, numbers: np.ndarray) -> dict[str, list[float]]:
    """One row of the kernel's answers by output."""
    ends = np.cumsum([output.width for output in view.outputs]).tolist()
    return {
        o.name: numbers[end - o.width : end].tolist()
        for o, end in zip(view.outputs, ends, strict=True)
    }


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(records, max_size=25), at_us=moments)
def test_the_naive_way_and_the_kernel_answer_alike(rows: list[dict[str, Any]], at_us: int) -> None:
    found = placed(rows)
    states = kernel.lift(PLAN, *columns_of(found))
    for key, blob in zip(states.keys, states.blobs(), strict=True):
        mine = [Row(r, p) for r, p in found if keys.encode([r["shop"], r["till"]]) == key]
        served = split(PLAN.view, kernel.read(PLAN, np.frombuffer(blob, np.int64), at_us))
        wrong = {
            n: (a, served[n])
            for n, a in answers(PLAN.view, mine, at_us).items()
            if not a.agrees(served[n])
        }
        assert not wrong


ODD = Source(
    "odd",
    id="id",
    key="id",
    event_time="at",
    fields={
        "id": String(),
        "at": Timestamp(),
        "flag": Bool(optional=True),
        "n": Int(optional=True),
    },
)
R = Recorded(ODD.fields, ODD.owner)
FLAGS: list[dict[str, Any]] = [
    {"id": "a", "at": i, "flag": f, "n": i} for i, f in enumerate([True, False, True, None])
]


def test_two_questions_that_the_text_of_an_expression_confuses_have_two_answers() -> None:
    view = View(
        "v",
        ODD,
        by="id",
        features={
            "a": count(where=lambda r: (~r.flag).is_null()).over("all"),
            "b": count(where=lambda r: ~r.flag.is_null()).over("all"),
        },
    )
    found = answers(view, [Row(r, i) for i, r in enumerate(FLAGS)], 10)
    assert (found["a_all"].numbers, found["b_all"].numbers) == ([1.0], [3.0])


def test_a_bool_is_not_one_of_some_numbers() -> None:
    assert not any(holds(R.n.isin([7]) & R.flag, record) for record in FLAGS)
    wrong = type(R.flag)("isin", (R.flag,), "bool", 0, frozenset({1, 2}))
    assert not any(holds(wrong, record) for record in FLAGS)


@pytest.mark.parametrize(
    ("expression", "right"),
    [
        (R.n + 1 == 2, [False, True, False, False]),
        (R.flag & (R.n > 0), [False, False, True, None]),
        (R.flag.is_null() | R.flag, [True, False, True, None]),
        (R.n * 4_000_000_000_000_000_000 > 0, [False, True, None, None]),
        (R.n * 1.5 > 2, [False, False, True, True]),
        (R.n.isin([1, 2.5]), [False, True, False, False]),
    ],
)
def test_an_expression_means_what_the_documentation_says(expression: Any, right: list[Any]) -> None:
    assert [value(expression, record) for record in FLAGS] == right


def test_windows_are_whole_tiles() -> None:
    hour, day = 3_600_000_000, 86_400_000_000
    assert window("1h", 2 * hour + 1) == (hour, 2 * hour + hour // 12)
    assert window("12h", 20 * hour + 1) == (8 * hour, 21 * hour)
    assert window("2w", 20 * day + 1) == (6 * day, 21 * day)
    assert window("5m", -1) == (-hour // 6, 0)
