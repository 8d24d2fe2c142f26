"""A date: one day of the calendar in every way that a record can come, and nothing else."""

from __future__ import annotations

import io
import json
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pa_parquet
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from predict_svc.api.forms import body_of
from twinstream import Date, Int, Label, Model, Source, String, Timestamp, View, maximum
from twinstream.algebra import keys
from twinstream.audit import meaning
from twinstream.audit.files import decode_file
from twinstream.define import columns
from twinstream.define.fields.date import date_of, days_since_1970
from twinstream.define.location import here
from twinstream.define.quick_values import converter
from twinstream.define.recording import record
from twinstream.define.records import Decoder
from twinstream.define.values import stored
from twinstream.errors import DefinitionError, RecordError
from twinstream.features.quick import QuickForm
from twinstream.features.request import QuestionForm

FIRST, LAST = date(1900, 1, 1), date(2200, 12, 31)
DAYS = st.dates(FIRST, LAST)
FIELDS = {"id": String(), "at": Timestamp(), "day": Date(), "due": Date(optional=True)}
PAID = Source("paid", id="id", key="day", event_time="at", fields=FIELDS)
DECODER = Decoder(PAID)
ODD = st.sampled_from(
    [
        "2013-02-29",
        "2013-13-01",
        "2013-1-1",
        "20131001",
        "2013-10-01T00:00:00Z",
        "2013-10-01\n",
        "٢٠١٣-10-01",
        "1899-12-31",
        "2201-01-01",
        "0000-00-00",
        "",
        "x",
    ]
)


def row(day: str, due: str | None = None) -> dict[str, object]:
    return {"id": "a", "at": 5, "day": day, "due": due}


@given(DAYS, st.none() | DAYS)
@example(FIRST, LAST)
def test_a_date_is_stored_alike_however_it_comes(day, due):
    texts = [day.isoformat(), None if due is None else due.isoformat()]
    want = [(day - date(1970, 1, 1)).days, None if due is None else (due - date(1970, 1, 1)).days]
    by_json = DECODER.json([json.dumps(row(*texts)).encode()]).batch
    head = pa.table({"id": ["a"], "at": ["5"], "day": [texts[0]], "due": [texts[1] or ""]})
    typed = {"day": pa.array([day], pa.date32()), "due": pa.array([due], pa.date64())}
    by_arrow = DECODER.table(pa.table({"id": ["a"], "at": [5], **typed})).batch
    assert [by_json.column(n)[0].as_py() for n in ("day", "due")] == want
    assert DECODER.table(head, text=True).batch.equals(by_json)
    assert by_arrow.equals(by_json)
    assert [converter(PAID, n)([t])[0] for n, t in zip(("day", "due"), texts, strict=True)] == want


@given(st.lists(DAYS.map(date.isoformat) | ODD | st.none(), min_size=1, max_size=90), st.booleans())
@settings(deadline=None)
def test_where_the_fast_way_is_sure_the_exact_one_gives_the_same(cells, text):
    found = columns.store(Date(), pa.array(cells, pa.string()), text=text)
    for cell, value, doubtful in zip(cells, found.array.to_pylist(), found.doubtful, strict=True):
        if not doubtful:
            assert stored(Date(), cell, text=text) == value


@pytest.mark.parametrize(
    "value", ["2013-02-29", "2013-1-1", "1899-12-31", "20131001", 15979, 1.5, True, "", [1], {}]
)
def test_what_is_not_a_date_becomes_a_dead_letter(value):
    decoded = DECODER.json([json.dumps(row("2013-10-01") | {"day": value}).encode()])
    assert decoded.batch.num_rows == 0
    assert decoded.errors[0][1].startswith("day: expected a date of the years 1900 to 2200")


def test_a_moment_is_not_a_date():
    assert days_since_1970(datetime(2013, 10, 1, tzinfo=UTC)) is None
    with pytest.raises(RecordError):
        DECODER.check_schema(
            pa.schema({"id": pa.string(), "at": pa.int64(), "day": pa.timestamp("us", "UTC")})
        )


def test_a_file_with_a_date_that_python_does_not_have_is_read():
    days = pa.array([15979, 4_000_000, -(2**31), 2**31 - 1], pa.date32())
    table = pa.table({"id": ["a", "b", "c", "d"], "at": [5] * 4, "day": days})
    sink = io.BytesIO()
    pa_parquet.write_table(table, sink)
    for decoded in (DECODER.table(table), decode_file(DECODER, sink.getvalue(), "parquet")):
        assert decoded.batch.column("day").to_pylist() == [15979]
        assert [row for row, _ in decoded.errors] == [1, 2, 3]


def test_a_key_of_a_date_is_one_key_however_it_came():
    batch = DECODER.json([json.dumps(row("2013-10-01")).encode()]).batch
    assert keys.encode((batch.column("day")[0].as_py(),)) == b"15979"
    assert Date().as_key().of(15979) == date(2013, 10, 1)


EXPRESSIONS = {
    "later": lambda r: r.day > "2013-10-01",
    "same": lambda r: r.day == r.due,
    "python": lambda r: r.due <= date(2013, 10, 1),
    "among": lambda r: r.day.isin(["2013-10-01", date(2000, 2, 29)]),
    "apart": lambda r: r.due - r.day,
    "apart, scaled": lambda r: (r.due - r.day) * 1.5 > 7,
    "weekday": lambda r: r.day.weekday,
    "month": lambda r: r.day.month,
    "day of year": lambda r: r.day.day_of_year,
    "missing": lambda r: r.due.is_null(),
}


@pytest.mark.parametrize("name", EXPRESSIONS)
@given(rows=st.lists(st.tuples(DAYS, st.none() | DAYS), min_size=1, max_size=8))
@settings(max_examples=30, deadline=None)
def test_expressions_equal_what_they_mean(name, rows):
    expression = record(EXPRESSIONS[name], FIELDS, "paid", name, here())
    records = [{"day": days_since_1970(a), "due": b and days_since_1970(b)} for a, b in rows]
    schema = pa.schema({"day": pa.int64(), "due": pa.int64()})
    values, valid = expression.columns(pa.RecordBatch.from_pylist(records, schema=schema))
    whole = [v.item() if ok else None for v, ok in zip(values, valid, strict=True)]
    assert whole == [expression.scalar(each) for each in records]
    assert whole == [meaning.value(expression, each) for each in records]


def test_parts_are_those_of_the_calendar():
    for day in (FIRST, LAST, date(2000, 2, 29), date(1970, 1, 1), date(1969, 12, 31)):
        parts = {name: days_since_1970(day) for name in ("day",)}
        of = lambda name: record(  # noqa: E731
            EXPRESSIONS[name], FIELDS, "paid", name, here()
        ).scalar(parts)  # noqa: B023
        assert (of("weekday"), of("month")) == (day.weekday(), day.month)
        assert of("day of year") == day.timetuple().tm_yday


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        (lambda r: r.day > "2013-02-29", "not a date"),
        (lambda r: r.day > datetime(2013, 10, 1, tzinfo=UTC), "not a date"),
        (lambda r: r.day > 15979, "a date and a number"),
        (lambda r: r.day > r.at, "a date and a timestamp"),
        (lambda r: r.day + 1, "a date and a number"),
        (lambda r: r.day.hour, "no part 'hour'"),
    ],
)
def test_what_a_date_cannot_do_is_refused(expression, says):
    with pytest.raises(DefinitionError, match=says):
        record(expression, FIELDS, "paid", "it", here())


def test_rules_bound_dates():
    rules = {
        "day": 'between("2000-01-01", "2030-12-31")',
        "due": 'clip("2000-01-01", "2030-12-31")',
    }
    source = Source("paid", id="id", key="id", event_time="at", fields=FIELDS, clean=rules)
    rows = [row("2013-10-01", "1950-01-01"), row("1999-12-31")]
    decoded = Decoder(source).json([json.dumps(each).encode() for each in rows])
    assert [date_of(d) for d in decoded.batch.column("due").to_pylist()] == [date(2000, 1, 1)]
    assert decoded.errors == [
        (1, "day: 1999-12-31 breaks the rule between('2000-01-01', '2030-12-31')")
    ]


def test_bounds_in_the_wrong_order_are_refused_with_the_right_one():
    rules = {"day": 'between("2030-12-31", "2000-01-01")'}
    with pytest.raises(DefinitionError, match=r"write between\('2000-01-01', '2030-12-31'\)"):
        Source("paid", id="id", key="id", event_time="at", fields=FIELDS, clean=rules)


def test_a_network_takes_parts_of_a_date_not_the_date():
    last = View("by-day", PAID, by="day", features={"due": maximum("due").over("7d")})
    late = Label("late", PAID, on="id", horizon="1h", value=lambda r: r.due < r.day)
    made = {"spine": PAID, "at": "at", "views": [last], "label": late}
    model = Model("m", **made, derive={"weekday": lambda r: r.day.weekday})
    assert model.request == ()
    assert model.inputs.numeric == ["weekday", "by-day.due_7d"]
    with pytest.raises(DefinitionError, match="is a Date, which a network cannot use"):
        Model("m", **made, request=["day"])


def test_one_day_is_one_step():
    day = FIRST
    for days in range(days_since_1970(FIRST), days_since_1970(LAST) + 1, 97):
        assert date_of(days) == day + timedelta(days=days - days_since_1970(FIRST))


def test_a_date_and_a_number_are_not_one_key():
    assert not Date().same_kind(Int())


def test_quick_and_exact_way_of_a_question_agree_on_dates():
    late = Label("late", PAID, on="id", horizon="1h", value=lambda r: r.due < r.day)
    by_day = View("by-day", PAID, by="day", features={"due": maximum("due").over("7d")})
    derive = {"weekday": lambda r: r.day.weekday, "left": lambda r: r.due - r.day}
    model = Model("m", spine=PAID, at="at", views=[by_day], label=late, derive=derive)
    form, answers = QuestionForm(model), {"by-day": np.array([[3.0], [np.nan]])}
    rows = [row("2013-10-01", "2013-10-05"), row("2000-02-29")]
    exact, quick = form.decode(rows, 5), QuickForm(form).decode(rows, 5)
    assert quick is not None
    assert quick.keys == exact.keys
    features = form.features(exact, answers).numeric
    assert features[:, :2].tolist()[0] == [1.0, 4.0]
    np.testing.assert_array_equal(QuickForm(form).features(quick, answers).numeric, features)


def test_an_arrow_stream_asks_with_dates():
    table = pa.table({"id": ["a"], "day": pa.array([date(2013, 10, 1)], pa.date32())})
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    assert body_of(sink.getvalue(), 10**6, 10).rows == [{"id": "a", "day": "2013-10-01"}]
