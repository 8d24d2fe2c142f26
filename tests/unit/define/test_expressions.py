"""An expression gives the same over columns and over one record."""

import math
import pickle  # noqa: TID251 - as Spark ships definitions to its workers
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twinstream.define import Bool, Decimal, Expr, Int, String, Timestamp
from twinstream.define.expressions import Row
from twinstream.define.limits import FIRST_US, LAST_US, LIMIT

FIELDS = {
    "a": Int(optional=True),
    "b": Int(optional=True),
    "d": Decimal(2, optional=True),
    "s": String(optional=True),
    "t": Timestamp(optional=True),
    "u": Timestamp(optional=True),
    "p": Bool(optional=True),
    "q": Bool(optional=True),
}
SCHEMA = pa.schema([pa.field(name, kind.arrow) for name, kind in FIELDS.items()])
r = Row(FIELDS, "source 'x'")

whole = st.integers(-20, 20) | st.integers(-LIMIT, LIMIT)
moments = st.integers(FIRST_US, LAST_US)
records = st.fixed_dictionaries(
    {
        "a": st.none() | whole,
        "b": st.none() | whole,
        "d": st.none() | whole,
        "s": st.none() | st.text(max_size=3),
        "t": st.none() | moments,
        "u": st.none() | moments,
        "p": st.none() | st.booleans(),
        "q": st.none() | st.booleans(),
    }
)

numbers = st.recursive(
    st.sampled_from(
        [
            r.a,
            r.b,
            r.d,
            r.t.hour,
            r.t.minute_of_day,
            r.t.weekday,
            r.t.month,
            r.t.day_of_year,
            (r.t - r.u).minutes,
            (r.t - r.u).days,
        ]
    ),
    lambda inner: st.builds(
        lambda x, y, op: getattr(x, op)(y),
        inner,
        inner | st.integers(-9, 9) | st.sampled_from([0.5, 1.25]),
        st.sampled_from(["__add__", "__sub__", "__mul__"]),
    ),
    max_leaves=4,
)
comparisons = ["__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__"]
conditions = st.recursive(
    st.sampled_from(
        [
            r.p,
            r.q,
            r.s == "a",
            r.s < "b",
            r.s.isin(["a", "", "ab"]),
            r.a.isin([1, 2, 3]),
            r.d.isin([0.5, 1]),
            r.t < r.u,
            r.s.is_null(),
            r.t >= "2013-10-01T00:00:00Z",
            r.t < datetime(2000, 1, 1, tzinfo=UTC),
            ~r.p,
        ]
    )
    | st.builds(
        lambda x, y, op: getattr(x, op)(y),
        numbers,
        numbers | st.integers(-9, 9),
        st.sampled_from(comparisons),
    ),
    lambda inner: (
        st.builds(lambda x, y: x & y, inner, inner)
        | st.builds(lambda x, y: x | y, inner, inner)
        | st.builds(lambda x: ~x, inner)
        | st.builds(lambda x: x.is_null(), inner)
    ),
    max_leaves=5,
)


@settings(max_examples=100, deadline=None)
@given(numbers | conditions, st.lists(records, min_size=1, max_size=8))
def test_columns_equal_scalar(expression: Expr, rows: list[dict]) -> None:
    batch = pa.RecordBatch.from_pylist(rows, schema=SCHEMA)
    values, valid = expression.columns(batch)
    for i, row in enumerate(rows):
        assert (values[i].item() if valid[i] else None) == expression.scalar(row)
    assert [math.nan if math.isnan(x) else x for x in expression.floats(batch)] == pytest.approx(
        [expression.number(row) for row in rows], nan_ok=True, rel=0
    )
    if expression.kind == "bool":
        assert expression.condition(batch).tolist() == [expression.holds(row) for row in rows]


@given(conditions)
def test_a_pickled_expression_is_the_same(expression):
    assert str(pickle.loads(pickle.dumps(expression))) == str(expression)


def test_null_gives_null_and_a_null_condition_is_false():
    batch = pa.RecordBatch.from_pylist([{"a": None, "p": True}], schema=SCHEMA)
    assert (r.a + 1).scalar({"a": None}) is None
    assert ((r.a > 1) | r.p).scalar({"a": None, "p": True}) is None
    assert ((r.a > 1) | r.p).condition(batch).tolist() == [False]
    assert r.a.is_null().condition(batch).tolist() == [True]


def test_decimals_compare_by_value_not_by_stored_integer():
    batch = pa.RecordBatch.from_pylist([{"d": 1050}, {"d": 1051}], schema=SCHEMA)
    assert (r.d > 10.5).condition(batch).tolist() == [False, True]
    assert (r.d == 10.505).condition(batch).tolist() == [False, False]
    assert np.array_equal((r.d * 2).floats(batch), [21.0, 21.02])


def test_a_result_beyond_the_limit_is_null():
    record = {"a": LIMIT, "b": LIMIT}
    batch = pa.RecordBatch.from_pylist([record], schema=SCHEMA)
    for expression in (r.a + r.b, r.a * r.b, r.a * -2, r.a - -1):
        assert expression.scalar(record) is None
        assert not expression.columns(batch)[1].any()


def test_the_text_is_canonical():
    assert (
        str((r.a >= 15) & ~r.p | r.s.isin(["b", "a"]))
        == '(((a >= 15) & (~p)) | s.isin(["a", "b"]))'
    )
    assert str(r.t.hour) == "t.hour"
    assert str(r.d > 0.5) == "(d > 0.50)"


def test_a_slice_of_a_batch_and_a_table_of_chunks_are_read_right():
    batch = pa.RecordBatch.from_pylist(
        [{"a": i, "s": str(i), "p": i % 2 == 0} for i in range(10)], schema=SCHEMA
    )
    assert ((r.a > 5) & r.p).condition(batch.slice(3, 5)).tolist() == [
        False,
        False,
        False,
        True,
        False,
    ]
    table = pa.Table.from_batches([batch.slice(0, 4), batch.slice(4)])
    assert (r.s == "7").condition(table).tolist() == [i == 7 for i in range(10)]


def test_a_part_of_a_moment_before_1970_is_right():
    moment = datetime(1969, 12, 31, 23, 59, 30, tzinfo=UTC)
    record = {"t": int(moment.timestamp() * 1e6)}
    assert [
        getattr(r.t, part).scalar(record)
        for part in ("hour", "minute_of_day", "weekday", "month", "day_of_year")
    ] == [23, 1439, 2, 12, 365]
