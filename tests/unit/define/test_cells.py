"""Cells of text by the compiled loops: sure of every usual form, and never of another value than
the slow way.
"""

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twinstream import Bool, Decimal, Int, RecordError, Source, String, Timestamp
from twinstream.define import columns
from twinstream.define.records import Decoder
from twinstream.define.values import stored

MANY = 64
US = 1_700_000_000_123_456

digits = st.text("0123456789", max_size=22)
NUMBERS = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(["", "", " ", "\t\n"]),
        st.sampled_from(["", "", "+", "-", "+-"]),
        digits,
        st.sampled_from(["", ".", ".", ".."]),
        digits,
        st.sampled_from(["", "", "e3", "E-2", "e+18", "e-30", "e", "e1234567890"]),
        st.sampled_from(["", "", " ", "x", "٣", "\0"]),
    ),
)
ZONES = st.integers(-1439, 1439).map(lambda m: timezone(timedelta(minutes=m)))
ROUND = st.datetimes(datetime(1899, 12, 30), datetime(2201, 1, 3), timezones=ZONES)  # noqa: DTZ001
MOMENTS = st.builds(
    lambda moment, separator, spec, more, change: (
        moment.isoformat(separator, spec) + more
    ).replace(*change),
    ROUND,
    st.sampled_from("Tt "),
    st.sampled_from(["minutes", "seconds", "milliseconds", "microseconds"]),
    st.sampled_from(["", "", "", " ", "Z", "x"]),
    st.sampled_from(
        [
            ("", ""),
            ("+00:00", "Z"),
            ("+00:00", "z"),
            (":", ""),
            ("+", "789+"),
            ("-01-", "-13-"),
            ("-28", "-31"),
            (":59", ":60"),
            ("0", "٠"),
            ("+", "."),
        ]
    ),
)
CELLS = NUMBERS | MOMENTS | st.text(max_size=4) | st.integers().map(str) | st.floats().map(repr)
KINDS = st.sampled_from([Int(), Timestamp(), Decimal(0), Decimal(2), Decimal(15)])


@settings(max_examples=400, deadline=None)
@given(KINDS, st.lists(st.none() | CELLS, min_size=1, max_size=MANY), st.booleans())
def test_where_the_loops_are_sure_the_slow_way_gives_the_same(kind, cells, text):
    cells = cells * MANY  # the loops take columns of many cells only
    if isinstance(kind, Int) and not text:
        return  # text is a whole number in CSV only
    found = columns.store(kind, pa.array(cells, pa.string()), text=text)
    values = found.array.to_pylist()
    for i in np.flatnonzero(~found.doubtful)[: len(cells) // MANY]:
        assert values[i] == stored(kind, cells[i], text=text), cells[i]


USUAL = {
    Int(): ["7", "-7", "+7", "007", " 7 ", "7.0", "7.", "7e3", "4611686018427387904", "70.0e-1"],
    Decimal(2): ["7", "7.5", ".5", "7.", "7.125", "-7.375", "1e3", "1.5E-1", "0.00", "7.50000000"],
    Timestamp(): [
        f"{US}",
        f"{US}.0",
        f" {US}",
        f"{US}e0",
        "2024-03-01T12:00Z",
        "2024-03-01T12:00:00Z",
        "2024-03-01t12:00:00z",
        "2024-02-29 12:00:00.5+02:00",
        "2024-03-01T12:00:00.123456789-0330",
        "2024-03-01T12:00:00+02",
    ],
    Bool(): ["true", "False", "1", "0", " TRUE "],
}


@pytest.mark.parametrize(
    ("kind", "cell"), [(kind, cell) for kind, cells in USUAL.items() for cell in cells], ids=str
)
def test_no_usual_form_of_a_csv_cell_takes_the_slow_way(kind, cell):
    found = columns.store(kind, pa.array([cell] * MANY), text=True)
    assert not found.doubtful.any()
    assert found.array.to_pylist() == [stored(kind, cell, text=True)] * MANY


WHOLE = pa.array([US, None] * MANY)
TYPED = [
    (Int(), WHOLE.cast(pa.uint64())),
    (Int(), WHOLE.cast(pa.float64())),
    (Int(), WHOLE.cast(pa.decimal128(30, 0))),
    (Int(), WHOLE.cast(pa.decimal128(30, 4))),
    (Int(), pa.array([US % 1000, None] * MANY, pa.decimal32(9, 2))),
    (Timestamp(), WHOLE),
    (Timestamp(), WHOLE.cast(pa.uint64())),
    (Timestamp(), WHOLE.cast(pa.float64())),
    (Timestamp(), WHOLE.cast(pa.decimal128(30, 2))),
    (Timestamp(), pa.array(["2024-03-01T12:00:00.123456789Z", None] * MANY, pa.large_string())),
    (Timestamp(), pa.array(["2024-03-01T12:00:00z", None] * MANY).dictionary_encode()),
    (Decimal(2), WHOLE.cast(pa.decimal128(30, 9))),
    (Decimal(2), pa.array(["1.125", None] * MANY, pa.string_view())),
    (Decimal(2), pa.array([US % 1000, None] * MANY, pa.decimal64(12, 3))),
]


@pytest.mark.parametrize(("kind", "column"), TYPED, ids=[f"{k}-{c.type}" for k, c in TYPED])
def test_no_usual_type_of_a_parquet_column_takes_the_slow_way(kind, column):
    plain = columns.plain(column)
    found = columns.store(kind, plain)
    assert not found.doubtful.any()
    assert found.array.to_pylist() == [stored(kind, value) for value in plain.to_pylist()]


@given(
    st.lists(st.none() | st.decimals(-(10**16), 10**16, places=3, allow_nan=False), min_size=1).map(
        lambda cells: pa.array(cells, pa.decimal128(38, 3))
    )
)
def test_exact_decimals_are_whole_numbers_only_where_they_are(column):
    for kind in (Int(), Timestamp()):
        found = columns.store(kind, column)
        for i in np.flatnonzero(~found.doubtful):
            assert found.array[i].as_py() == stored(kind, column[i].as_py())


SOURCE = Source(
    "s",
    id="id",
    key="id",
    event_time="at",
    fields={
        "id": String(),
        "at": Timestamp(),
        "n": Int(optional=True),
        "amount": Decimal(2, optional=True),
        "note": String(optional=True),
    },
)
ROWS = st.lists(
    st.tuples(
        st.text("ab", max_size=1),
        MOMENTS | st.just(f"{US}"),
        NUMBERS | st.just(""),
        NUMBERS | st.just(""),
        st.text(max_size=2),
    ),
    min_size=1,
    max_size=30,
)


def one_by_one(cells):
    """A row as the slow way alone has it."""
    row = []
    for (name, kind), cell in zip(SOURCE.fields.items(), cells, strict=True):
        try:
            row.append(stored(kind, cell, text=True))
        except RecordError as error:
            return f"{name}: {error}"
        if row[-1] is None and not kind.optional:
            late = f"{name}: is null or missing"
            row[-1] = RecordError(late)
    missing = [str(value) for value in row if isinstance(value, RecordError)]
    return missing[0] if missing else row


@settings(max_examples=60, deadline=None)
@given(ROWS)
def test_columns_and_single_rows_give_the_same_records_and_reasons(rows):
    rows = rows * 3
    table = pa.table(
        {
            name: pa.array(list(cells), pa.string())
            for name, cells in zip(SOURCE.fields, zip(*rows, strict=True), strict=True)
        }
    )
    found = Decoder(SOURCE).table(table, text=True)
    wanted = [one_by_one(row) for row in rows]
    assert found.errors == [(i, why) for i, why in enumerate(wanted) if isinstance(why, str)]
    assert [list(row.values()) for row in found.batch.to_pylist()] == [
        row for row in wanted if isinstance(row, list)
    ]
    assert found.index.tolist() == [i for i, row in enumerate(wanted) if isinstance(row, list)]


def test_days_of_a_month_are_the_calendars():
    import calendar

    from twinstream.algebra.compiled.dates import days_in, days_of

    for year in (1900, 1999, 2000, 2023, 2024, 2100, 2200):
        for month in range(1, 13):
            assert days_in(year, month) == calendar.monthrange(year, month)[1]
            assert (
                days_of(year, month, 1)
                == (datetime(year, month, 1, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)).days
            )
