"""The predictor's quick way from a request to features gives what the exact way gives,
or leaves the row to it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from twinstream import (
    Bool,
    Decimal,
    Int,
    Label,
    Model,
    Source,
    String,
    Timestamp,
    View,
    count,
    last_k,
    mean,
)
from twinstream.errors import RecordError
from twinstream.features.quick import FEW, QuickForm
from twinstream.features.request import QuestionForm

AT = 1_700_000_000_000_000
ASKED = Source(
    "asked",
    id="id",
    key="who",
    event_time="at",
    fields={
        "id": String(),
        "who": String(optional=True),
        "number": Int(optional=True),
        "price": Decimal(2, optional=True),
        "flag": Bool(optional=True),
        "at": Timestamp(),
        "due": Timestamp(optional=True),
        "must": String(),
        "kind": String(optional=True),
    },
    clean={
        "number": "clip(-5, 100)",
        "price": "between(-10, 1000)",
        "who": "strip",
        "must": ["lower", "required"],
        "kind": ["upper", "one_of('A', 'B', 'É')"],
    },
)
SEEN = Source(
    "seen",
    id="id",
    key="who",
    event_time="at",
    fields={
        "id": String(),
        "who": String(optional=True),
        "number": Int(optional=True),
        "price": Decimal(2, optional=True),
        "flag": Bool(optional=True),
        "at": Timestamp(),
    },
)
MODEL = Model(
    "model",
    spine=ASKED,
    at="at",
    views=[
        View("by-who", SEEN, by="who", features={"n": count().over("1h", "24h")}),
        View(
            "by-both",
            SEEN,
            by=("who", "number"),
            features={"price": mean("price").over("24h"), "k": last_k("price", 3).over("24h")},
        ),
    ],
    label=Label("label", SEEN, on="id", horizon="1h", value=lambda r: r.number > 0, missing=False),
    request=("number", "price", "flag", "must", "kind"),
    derive={
        "hour": lambda r: r.at.hour,
        "soon": lambda r: (r.due - r.at).minutes,
        "dear": lambda r: (r.price > 3) & ~r.flag,
        "much": lambda r: r.price * r.number,
        "known": lambda r: r.who == "x",
    },
)
FORM = QuestionForm(MODEL)
QUICK = QuickForm(FORM)
FOUND = {
    view.name: np.random.default_rng(1).normal(size=(64, sum(o.width for o in view.outputs)))
    for view in MODEL.views
}

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(1 << 63), 1 << 63),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(),
    st.sampled_from(
        ["", " ", "1", "x", "é", "ß", "\x1f", "a\x1fb", "x" * 500, "\u2028", "1e3", []]
    ),
)
TIMES = st.one_of(
    st.integers(AT - 10**15, AT + 10**15),
    st.datetimes().map(lambda d: d.isoformat() + "Z"),
    st.sampled_from(
        [
            "2024-02-29T23:59:59.999999+02:00",
            "2024-02-30T00:00:00Z",
            "2024-01-01T24:00:00Z",
            "2024-01-01T00:00:60Z",
            "1899-12-31T23:59:59Z",
            "1900-01-01T00:00:00+00:01",
            "2024-01-01T00:00:00.1234567Z",
            "2024-01-01T00:00:00z",
            "2024-01-01 00:00:00Z",
            "2024-01-01T00:00:00-00:00",
            "2024-01-01T00:00Z",
        ]
    ),
)
PRICES = st.one_of(
    st.decimals(-20, 1200, places=3, allow_nan=False).map(float),
    st.integers(-20, 1200),
    st.floats(-1e18, 1e18),
    st.sampled_from([0.005, 0.015, 2.675, 1e-9, 2.665, -0.0, 999.999, 1e16, 92233720368547758.07]),
    st.decimals(allow_nan=False, allow_infinity=False, places=4).map(str),
)
FIELDS = {
    "id": st.one_of(st.text(max_size=4), ODD),
    "who": st.one_of(st.sampled_from(["x", "y", " x", "ü", None]), ODD),
    "number": st.one_of(st.integers(-9, 120), ODD),
    "price": st.one_of(PRICES, ODD),
    "flag": st.one_of(st.booleans(), ODD),
    "at": st.one_of(TIMES, ODD),
    "due": st.one_of(TIMES, ODD),
    "must": st.one_of(st.text(min_size=1, max_size=3), ODD),
    "kind": st.one_of(st.sampled_from(["a", "B", "b", "é"]), ODD),
    "more": ODD,
}
PLAIN: dict[str, Any] = {"id": "a", "who": "x", "number": 1, "price": 1.5, "flag": True}
PLAIN |= {"at": AT, "due": AT + 1, "must": "m", "kind": "a"}
ROW = st.one_of(
    st.fixed_dictionaries({}, optional=FIELDS),
    st.sampled_from(sorted(FIELDS)).flatmap(
        lambda name: FIELDS[name].map(lambda v: PLAIN | {name: v})
    ),
)


def same(rows: list[dict[str, Any]]) -> bool:
    """Whether the quick way took the rows; then it must have agreed with the exact one."""
    quick = QUICK.decode(rows, AT)
    if quick is None:
        return False
    exact = FORM.decode(rows, AT)
    assert quick.at_us.tolist() == exact.at_us.tolist()
    assert quick.keys == exact.keys
    answers = {name: found[: len(rows)] for name, found in FOUND.items()}
    ours, theirs = QUICK.features(quick, answers), FORM.features(exact, answers)
    assert ours.texts == theirs.texts
    np.testing.assert_array_equal(ours.numeric, theirs.numeric)
    np.testing.assert_array_equal(ours.sequences, theirs.sequences)
    return True


@settings(max_examples=1500)
@given(st.lists(ROW, min_size=1, max_size=3))
@example([PLAIN | {"price": 2.675}])
@example([PLAIN | {"who": "x\x1f"}])
@example([PLAIN | {"at": None}, PLAIN])
def test_the_quick_way_is_the_exact_way_or_none(rows: list[dict[str, Any]]) -> None:
    same(rows)


@settings(max_examples=100)
@given(st.lists(ROW, min_size=FEW + 1, max_size=FEW + 9))
def test_the_same_of_many_rows(rows: list[dict[str, Any]]) -> None:
    taken = [row for row in rows if QUICK.decode([row], AT) is not None]
    many = (taken + [PLAIN]) * 9
    assert same(many[:64])


@pytest.mark.parametrize(
    "row",
    [
        PLAIN,
        PLAIN | {"price": 12.34, "at": "2024-02-29T23:59:59.999999+02:00"},
        PLAIN | {"price": None, "number": None, "due": None, "who": None, "kind": None},
        {"must": "m"},
    ],
)
def test_plain_rows_go_the_quick_way(row: dict[str, Any]) -> None:
    assert same([row])


@pytest.mark.parametrize(
    ("name", "value"),
    [("price", 1000.01), ("kind", "c"), ("must", None), ("flag", "x"), ("at", "soon"), ("id", [])],
)
def test_what_does_not_fit_is_left_to_the_exact_way(name: str, value: Any) -> None:
    assert QUICK.decode([PLAIN | {name: value}], AT) is None
    if name != "id":
        with pytest.raises(RecordError):
            FORM.decode([PLAIN | {name: value}], AT)
