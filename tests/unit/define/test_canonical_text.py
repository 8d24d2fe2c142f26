"""Different expressions have different texts, deep ones work, and columns equal single records for
every operation.
"""

import operator
import pickle  # noqa: TID251 - as Spark ships definitions to its workers
from fractions import Fraction
from functools import reduce

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twinstream import (
    Bool,
    Decimal,
    Int,
    Source,
    String,
    Timestamp,
    View,
    between,
    count,
    one_of,
    share,
)
from twinstream.algebra.plan import ViewPlan
from twinstream.algebra.slots import Column, Take
from twinstream.audit import meaning
from twinstream.define.expressions import MOST_NODES, Row
from twinstream.define.field_types import VALUE_KINDS
from twinstream.define.limits import FIRST_US, LAST_US, LIMIT
from twinstream.define.operations import OPERATIONS
from twinstream.errors import DefinitionError

FIELDS = {
    "a": Int(optional=True),
    "is_null": Int(optional=True),
    "d": Decimal(2, optional=True),
    "e": Decimal(3, optional=True),
    "s": String(optional=True),
    "t": Timestamp(optional=True),
    "u": Timestamp(optional=True),
    "flag": Bool(optional=True),
    "true": Bool(optional=True),
}
SCHEMA = pa.schema([pa.field(name, kind.arrow) for name, kind in FIELDS.items()])
r = Row(FIELDS, "source 'x'")

spiteful = st.sampled_from(
    ['"', "a", "a|b", ") | (a", "true", "1", "1us", "\x1f", "\n", '"])', "~", "; ", "\\", "None"]
)
whole = st.integers(-3, 3) | st.sampled_from([0.5, 1.0, 1.25, -0.001, LIMIT, -LIMIT])
numbers = st.recursive(
    st.sampled_from([r.a, r.is_null, r.d, r.e, r.t.hour, r.t.month, (r.t - r.u).hours]),
    lambda inner: st.builds(
        lambda op, x, y: op(x, y),
        st.sampled_from([operator.add, operator.sub]),
        inner,
        inner | st.integers(-3, 3),
    ),
    max_leaves=4,
)
leaves = (
    st.sampled_from(
        [r.flag, r.true, r.s.is_null(), r.flag.is_null(), r.flag.isin([True]), r.a.isin([])]
    )
    | st.builds(lambda x, y: x == y, st.just(r.s), spiteful)
    | st.builds(r.s.isin, st.lists(spiteful, max_size=2))
    | st.builds(
        lambda op, x, y: op(x, y), st.sampled_from([operator.eq, operator.lt]), numbers, numbers
    )
    | st.builds(lambda x, y: x >= y, numbers, st.integers(-3, 3))
    | st.builds(lambda x: r.t == x, st.integers(0, 3))
    | st.builds(lambda x: r.flag == x, st.booleans())
)
conditions = st.recursive(
    leaves,
    lambda inner: (
        st.builds(lambda x: ~x, inner)
        | st.builds(lambda x: x.is_null(), inner)
        | st.builds(
            lambda op, x, y: op(x, y),
            st.sampled_from([operator.and_, operator.or_, operator.eq]),
            inner,
            inner,
        )
    ),
    max_leaves=5,
)


def shape(expr):
    """The whole structure; types of literals included, as 1 == True."""
    value = (
        frozenset(map(repr, expr.value)) if isinstance(expr.value, frozenset) else repr(expr.value)
    )
    return expr.op, expr.kind, expr.places, value, tuple(shape(arg) for arg in expr.args)


@settings(max_examples=400, deadline=None)
@given(st.lists(conditions | numbers, min_size=2, max_size=12))
def test_different_expressions_have_different_texts(expressions):
    by_text = {}
    for expression in expressions:
        assert by_text.setdefault(str(expression), shape(expression)) == shape(expression)


@given(conditions, conditions)
def test_different_columns_of_a_plan_have_different_texts(one, other):
    texts = {
        Column.make(Take.ONE, of, where).text
        for of in (None, "flag", r.flag, one)
        for where in (None, other)
    }
    assert len(texts) == (8 if str(one) != "flag" else 6)


def test_a_not_before_and_after_is_null_are_two_questions():
    source = Source(
        "x",
        id="i",
        key="i",
        event_time="t",
        fields={"i": Int(), "t": Timestamp(), "flag": Bool(optional=True)},
    )
    view = View(
        "v",
        source,
        by="i",
        features={
            "one": count(where=lambda r: (~r.flag).is_null()).over("all"),
            "three": count(where=lambda r: ~r.flag.is_null()).over("all"),
        },
    )
    one, three = (feature.aggregate.where for feature in view.features)
    rows = [{"flag": flag} for flag in (True, False, True, None)]
    assert [sum(where.holds(row) for row in rows) for where in (one, three)] == [1, 3]
    assert len(ViewPlan(view).columns) == 2
    plain = View("v", source, by="i", features={"one": share("flag").over("all")})
    assert ViewPlan(plain).digest != ViewPlan(view).digest


moments = st.none() | st.integers(FIRST_US, LAST_US) | st.sampled_from([FIRST_US, LAST_US, -1, 0])
stored = st.none() | st.integers(-5, 5) | st.sampled_from([LIMIT, -LIMIT, LIMIT - 1])
flags = st.none() | st.booleans()
records = st.fixed_dictionaries(
    {
        "a": stored,
        "is_null": stored,
        "d": stored,
        "e": stored,
        "s": st.none() | spiteful,
        "t": moments,
        "u": moments,
        "flag": flags,
        "true": flags,
    }
)


@settings(max_examples=200, deadline=None)
@given(conditions | numbers, st.lists(records, max_size=6))
def test_columns_equal_single_records_and_their_meaning(expression, rows):
    batch = pa.RecordBatch.from_pylist(rows, schema=SCHEMA)
    values, valid = expression.columns(batch)
    for i, row in enumerate(rows):
        scalar = expression.scalar(row)
        assert (values[i].item() if valid[i] else None) == scalar
        meant = meaning.value(expression, row)
        assert meant == (
            scalar
            if expression.kind != "number" or scalar is None
            else Fraction(scalar, 10**expression.places)
        )


EVERY = {
    "==": r.flag == r.true,
    "!=": r.s != r.s,
    "<": r.flag < r.true,
    "<=": r.t <= r.u,
    ">": (r.t - r.u) > 5,
    ">=": r.d >= r.e,
    "+": r.a + r.d,
    "-": r.d - r.e,
    "*": r.d * r.e,
    "&": r.flag & r.true,
    "|": r.flag | r.true,
    "~": ~r.flag,
    "isin": (r.t - r.u).isin([0, 3]),
    "minutes": (r.t - r.u).minutes,
    "hours": (r.t - r.u).hours,
    "days": (r.t - r.u).days,
    "hour": r.t.hour,
    "minute_of_day": r.t.minute_of_day,
    "weekday": r.t.weekday,
    "month": r.t.month,
    "day_of_year": r.t.day_of_year,
}


def test_every_operation_is_among_those_compared():
    parts = {name for kind in VALUE_KINDS.values() for name in kind.parts}
    assert EVERY.keys() == OPERATIONS.keys() | parts


@pytest.mark.parametrize("name", EVERY)
@given(rows=st.lists(records, min_size=1, max_size=8))
@settings(max_examples=30, deadline=None)
def test_each_operation_over_columns_equals_it_over_one_record(name, rows):
    expression = EVERY[name]
    values, valid = expression.columns(pa.RecordBatch.from_pylist(rows, schema=SCHEMA))
    assert [v.item() if ok else None for v, ok in zip(values, valid, strict=True)] == [
        expression.scalar(row) for row in rows
    ]


@pytest.mark.parametrize("n", [400, 5000])
def test_conditions_joined_by_the_thousand_work(n):
    expression = reduce(operator.or_, [r.a == i for i in range(n)])
    batch = pa.RecordBatch.from_pylist([{"a": n - 1}, {"a": n}, {"a": None}], schema=SCHEMA)
    assert expression.condition(batch).tolist() == [True, False, False]
    assert [expression.holds({"a": a}) for a in (n - 1, n, None)] == [True, False, False]
    assert [meaning.holds(expression, {"a": a}) for a in (n - 1, n, None)] == [True, False, False]
    assert expression.fields() == {"a"}
    again = pickle.loads(pickle.dumps(expression))
    assert str(again) == str(expression)
    assert str(expression).count("|") == n - 1


def test_deep_arithmetic_works():
    expression = reduce(operator.add, [1] * 3000, r.a)
    batch = pa.RecordBatch.from_pylist([{"a": 1}], schema=SCHEMA)
    assert np.array_equal(expression.columns(batch)[0], [3001])
    assert expression.scalar({"a": 1}) == 3001


def test_an_expression_that_doubles_itself_is_refused_with_its_line():
    with pytest.raises(DefinitionError, match=f"more than {MOST_NODES} parts") as caught:
        reduce(lambda x, _: x & x, range(60), r.flag)
    assert caught.value.file == __file__


def ruled(**clean):
    fields = {"i": Int(), "t": Timestamp(), "s": String(), "d": Decimal(2)}
    return Source("x", fields=fields, id="i", key="i", event_time="t", clean=clean)


texts = st.text(max_size=3) | st.builds(lambda x: "x" * 300 + x, st.text(max_size=3))
money = st.integers(-(10**6), 10**6).map(lambda units: units / 100)


@given(st.lists(texts, min_size=1, max_size=3), st.lists(texts, min_size=1, max_size=3))
def test_different_lists_of_texts_are_different_rules(one, other):
    """Also where they differ beyond what a message shows of a text."""
    rules = [ruled(s=one_of(*wanted)) for wanted in (one, other)]
    assert (rules[0].canonical() == rules[1].canonical()) == (one == other)


@given(st.lists(money, min_size=2, max_size=2), st.lists(money, min_size=2, max_size=2))
def test_different_bounds_are_different_rules(one, other):
    rules = [ruled(d=between(*sorted(bounds))).canonical() for bounds in (one, other)]
    assert (rules[0] == rules[1]) == (sorted(one) == sorted(other))
