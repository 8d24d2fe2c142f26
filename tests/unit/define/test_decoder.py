"""Records become one batch, the same from JSON, Arrow and CSV; what does not fit says why."""

import io
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal as Exact

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from twinstream import Bool, Decimal, Int, RecordError, Source, String, Timestamp
from twinstream.algebra import keys
from twinstream.define import columns
from twinstream.define.limits import LIMIT
from twinstream.define.records import Decoder
from twinstream.define.values import stored

SOURCE = Source(
    "departures",
    id=("flight_id", "number"),
    key="origin",
    event_time="departed_at",
    fields={
        "flight_id": String(),
        "number": Int(),
        "origin": String(optional=True),
        "departed_at": Timestamp(),
        "delay_minutes": Int(optional=True),
        "cancelled": Bool(),
        "wind": Decimal(2, optional=True),
        "carrier": String(optional=True),
    },
    clean={
        "wind": "clip(0, 200)",
        "delay_minutes": "between(-1000, 5000)",
        "carrier": ["strip", "lower", "one_of('aa', 'ua')"],
    },
)
DECODER = Decoder(SOURCE)
GOOD = {
    "flight_id": "a",
    "number": 7,
    "origin": "JFK",
    "departed_at": "2013-10-01T10:00:00Z",
    "delay_minutes": 3,
    "cancelled": False,
    "wind": 1.5,
    "carrier": "AA",
}


def decode(**change):
    return DECODER.json([json.dumps(GOOD | change).encode()])


def value(field, given_value):
    return decode(**{field: given_value}).batch.column(field)[0].as_py()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"delay_minutes": "x"}, 'delay_minutes: expected int, got "x"'),
        ({"delay_minutes": 1.5}, "delay_minutes: expected int, got 1.5"),
        ({"delay_minutes": True}, "delay_minutes: expected int, got true"),
        (
            {"delay_minutes": 2**62 + 1},
            f"delay_minutes: expected at most 2**62 in the last place, got {2**62 + 1}",
        ),
        ({"delay_minutes": 10**400}, "delay_minutes: expected at most 2**62"),
        ({"wind": "1e999999999"}, "wind: expected at most 2**62"),
        ({"delay_minutes": 6000}, "delay_minutes: 6000 breaks the rule between(-1000, 5000)"),
        ({"flight_id": 5}, "flight_id: expected text, got 5"),
        ({"flight_id": None}, "flight_id: is null or missing"),
        ({"origin": None}, "origin: is null or missing"),
        ({"cancelled": 1}, "cancelled: expected true or false, got 1"),
        ({"cancelled": None}, "cancelled: is null or missing"),
        (
            {"departed_at": "2013-10-01T10:00:00"},
            (
                "departed_at: expected RFC 3339 with a zone or whole microseconds, "
                'got "2013-10-01T10:00:00"'
            ),
        ),
        (
            {"departed_at": "1899-12-31T23:59:59Z"},
            "departed_at: expected a moment in the years 1900 to 2200",
        ),
        (
            {"departed_at": "2201-01-01T00:00:00Z"},
            "departed_at: expected a moment in the years 1900 to 2200",
        ),
        ({"wind": "fast"}, 'wind: expected decimal, got "fast"'),
        ({"wind": 1e300}, "wind: expected at most 2**62 in the last place, got 1E+300"),
        ({"wind": "NaN"}, 'wind: expected decimal, got "NaN"'),
        ({"carrier": "DL"}, "carrier: 'dl' breaks the rule one_of('aa', 'ua')"),
        ({"origin": "x" * 481}, "origin: the key is longer than 480 bytes"),
        ({"flight_id": "a\x1fb"}, "flight_id: holds the character U+001F"),
    ],
)
def test_a_bad_record_says_why(change, reason):
    decoded = decode(**change)
    assert decoded.batch.num_rows == 0
    [(index, said)] = decoded.errors
    assert index == 0
    assert said.startswith(reason)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"nope",
        b"[1]",
        b"3",
        b"{} {}",
        b'{"flight_id": "\xff"}',
        b'{"flight_id": "a"',
        b'{"wind": NaN}',
        None,
        b'{"x": ' + b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
    ],
)
def test_what_is_no_json_object_is_refused(data):
    decoded = DECODER.json([data])
    assert [index for index, _ in decoded.errors] == [0]
    assert decoded.errors[0][1].startswith(("not JSON", "expected a JSON object"))


def test_good_records_among_bad_ones_keep_their_order_and_index():
    good = json.dumps(GOOD).encode()
    decoded = DECODER.json(
        [
            good,
            b"nope",
            good.replace(b"7", b"8"),
            good.replace(b"1.5", b'"2.5"'),
            good.replace(b"JFK", b"LGA"),
        ]
    )
    assert decoded.index.tolist() == [0, 2, 3, 4]
    assert decoded.batch.column("number").to_pylist() == [7, 8, 7, 7]
    assert decoded.batch.column("wind").to_pylist() == [150, 150, 250, 150]
    assert decoded.batch.column("origin").to_pylist() == ["JFK", "JFK", "JFK", "LGA"]
    assert [index for index, _ in decoded.errors] == [1]


def test_unknown_fields_are_ignored_and_missing_optional_ones_are_null():
    record = {name: v for name, v in GOOD.items() if name not in {"wind", "delay_minutes"}} | {
        "gate": "B32"
    }
    decoded = DECODER.json([json.dumps(record).encode()])
    assert decoded.errors == []
    assert decoded.batch.to_pylist()[0]["wind"] is None
    assert decoded.batch.schema.names == SOURCE.names


def test_ids_are_the_bytes_of_a_view_key():
    record = decode().batch.to_pylist()[0]
    assert (
        [text.encode() for text in decode().ids.to_pylist()]
        == [keys.encode((record["flight_id"], record["number"]))]
        == [b"a\x1f7"]
    )


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        (0.125, 12),
        (0.135, 14),
        ("0.125", 12),
        (2.675, 268),
        (-3, 0),
        (201, 20000),
        (1e-300, 0),
        (True, None),
        (7, 700),
        (0.005, 0),
        (0.015, 2),
    ],
)
def test_decimals_round_half_even_as_written_and_are_clipped(written, kept):
    decoded = decode(wind=written)
    assert [v.as_py() for v in decoded.batch.column("wind")] == ([] if kept is None else [kept])


def test_moments_are_utc_microseconds():
    expected = 1_380_621_600_000_000
    for written in (
        "2013-10-01T10:00:00Z",
        "2013-10-01T12:00:00+02:00",
        "2013-10-01t10:00:00z",
        "2013-10-01T10:00:00.000000999Z",
        expected,
    ):
        assert value("departed_at", written) == expected
    assert value("departed_at", "1969-12-31T23:59:59.5Z") == -500_000


def test_empty_text_is_a_value_in_json_and_null_in_csv():
    source = Source(
        "x",
        id="i",
        key="i",
        event_time="t",
        fields={"i": Int(), "t": Timestamp(), "s": String(optional=True)},
    )
    decoder = Decoder(source)
    assert decoder.json([b'{"i": 1, "t": 0, "s": ""}']).batch.column("s").to_pylist() == [""]
    assert decoder.table(pa.table({"i": ["1"], "t": ["0"], "s": [""]}), text=True).batch.column(
        "s"
    ).to_pylist() == [None]


def test_a_long_key_of_a_view_is_refused_when_the_view_is_named():
    record = json.dumps(GOOD | {"flight_id": "f" * 300, "origin": "o" * 300}).encode()
    assert Decoder(SOURCE).json([record]).errors == []
    [(_, reason)] = Decoder(SOURCE, keys=[("flight_id", "origin")]).json([record]).errors
    assert reason == "flight_id+origin: the key is longer than 480 bytes"


def test_no_records_are_an_empty_batch():
    for decoded in (
        DECODER.json([]),
        DECODER.table(pa.table({name: pa.nulls(0) for name in SOURCE.names})),
    ):
        assert (decoded.batch.num_rows, decoded.errors, decoded.ids.to_pylist()) == (0, [], [])
        assert decoded.batch.schema == SOURCE.schema


@pytest.mark.parametrize(
    ("field", "column"),
    [
        ("delay_minutes", pa.array([3], pa.int8())),
        ("delay_minutes", pa.array([3], pa.uint64())),
        ("delay_minutes", pa.array([3.0])),
        ("wind", pa.array([1.5], pa.float32())),
        ("wind", pa.array([Exact("1.5")])),
        ("wind", pa.array([Exact("1.4950")])),
        ("origin", pa.array(["JFK"]).dictionary_encode()),
        ("origin", pa.array(["JFK"], pa.large_string())),
        (
            "departed_at",
            pa.array(
                [datetime(2013, 10, 1, 10, tzinfo=UTC)], pa.timestamp("s", "America/New_York")
            ),
        ),
        (
            "departed_at",
            pa.array([datetime(2013, 10, 1, 10, tzinfo=UTC)], pa.timestamp("ns", "UTC")),
        ),
        ("departed_at", pa.array(["2013-10-01T10:00:00Z"])),
    ],
)
def test_columns_of_kindred_arrow_types_give_the_same(field, column):
    table = pa.Table.from_pylist([GOOD]).drop_columns([field]).append_column(field, column)
    assert DECODER.table(table).batch.equals(decode().batch)
    DECODER.check_schema(table.schema)


@pytest.mark.parametrize(
    ("field", "column", "reason"),
    [
        ("delay_minutes", pa.array(["3"]), 'expected int, got "3"'),
        ("delay_minutes", pa.array([float("nan")]), "expected a finite int"),
        ("wind", pa.array([float("inf")]), "expected a finite decimal"),
        ("origin", pa.array([3]), "expected text, got 3"),
        (
            "departed_at",
            pa.array([datetime(2013, 10, 1, 10)], pa.timestamp("us")),  # noqa: DTZ001
            "expected RFC 3339 with a zone",
        ),
    ],
)
def test_columns_of_other_types_are_refused_row_by_row(field, column, reason):
    table = pa.Table.from_pylist([GOOD]).drop_columns([field]).append_column(field, column)
    [(_, said)] = DECODER.table(table).errors
    assert said.startswith(f"{field}: {reason}")


def test_a_file_that_cannot_fit_is_refused_by_its_schema():
    schema = pa.schema(
        {
            "flight": pa.string(),
            "number": pa.string(),
            "origin": pa.string(),
            "departed_at": pa.timestamp("us"),
            "cancelled": pa.bool_(),
        }
    )
    with pytest.raises(RecordError) as caught:
        DECODER.check_schema(schema)
    for part in (
        "column 'flight_id' is missing (did you mean 'flight'?)",
        "column 'number' is string",
        "column 'departed_at' is timestamp[us]",
    ):
        assert part in str(caught.value)
    DECODER.check_schema(pa.schema({name: pa.string() for name in SOURCE.names}), text=True)


# -- laws
# --------------------------------------------------------------------------------------------------------------------------------

texts = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x1f\r\n\0"),
    min_size=1,
    max_size=5,
)
exacts = st.decimals(-(10**12), 10**12, places=6) | st.decimals(-2, 2, places=3)
moments = st.datetimes(datetime(1890, 1, 1), datetime(2210, 1, 1), timezones=st.sampled_from([UTC]))  # noqa: DTZ001
rows = st.lists(
    st.fixed_dictionaries(
        {
            "flight_id": texts,
            "number": st.integers(-LIMIT - 2, LIMIT + 2),
            "origin": st.none() | texts,
            "departed_at": moments,
            "delay_minutes": st.none() | st.integers(-2000, 6000),
            "cancelled": st.none() | st.booleans(),
            "wind": st.none() | exacts,
            "carrier": st.none() | st.sampled_from(["AA", " ua ", "dl"]),
        }
    ),
    max_size=12,
)


def as_json(record):
    wind = record["wind"]
    plain = json.dumps(record | {"departed_at": record["departed_at"].isoformat(), "wind": 0})
    return plain.replace(
        '"wind": 0', f'"wind": {"null" if wind is None else format(wind, "f")}'
    ).encode()


def as_cell(v):
    if v is None:
        return ""
    if isinstance(v, bool):
        return str(v).lower()
    return (
        v.isoformat()
        if isinstance(v, datetime)
        else format(v, "f")
        if isinstance(v, Exact)
        else str(v)
    )


@settings(max_examples=60, deadline=None)
@given(rows)
def test_json_arrow_and_csv_give_the_same(records):
    schema = pa.schema(
        [
            (
                n,
                {"decimal": pa.decimal128(30, 6), "timestamp": pa.timestamp("us", "UTC")}.get(
                    t.kind, t.arrow
                ),
            )
            for n, t in SOURCE.fields.items()
        ]
    )
    table = pa.Table.from_pylist(records, schema=schema)
    cells = pa.table(
        {
            name: pa.array([as_cell(record[name]) for record in records], pa.string())
            for name in SOURCE.names
        }
    )
    buffer = io.BytesIO()
    pa_csv.write_csv(cells, buffer)
    convert = pa_csv.ConvertOptions(column_types=cells.schema, strings_can_be_null=False)
    read = (
        pa_csv.read_csv(io.BytesIO(buffer.getvalue()), convert_options=convert)
        if records
        else cells
    )
    one, two, three = (
        DECODER.json([as_json(record) for record in records]),
        DECODER.table(table),
        DECODER.table(read, text=True),
    )
    for other in (two, three):
        assert other.batch.to_pylist() == one.batch.to_pylist()
        assert other.index.tolist() == one.index.tolist()
        assert [index for index, _ in other.errors] == [index for index, _ in one.errors]
    assert sorted([*one.index.tolist(), *(index for index, _ in one.errors)]) == list(
        range(len(records))
    )


KINDS = st.sampled_from([String(), Int(), Bool(), Timestamp(), Decimal(0), Decimal(2), Decimal(9)])
CELLS = st.one_of(
    st.text(max_size=4),
    st.integers().map(str),
    st.floats().map(repr),
    st.decimals(places=3, allow_nan=False, allow_infinity=False).map(str),
    st.sampled_from(
        [
            "true",
            "FALSE",
            "1",
            "0x10",
            " 7 ",
            "+1",
            "1_0",
            "1e3",
            ".5",
            "5.",
            "nan",
            "-0",
            "2013-01-01T00:00Z",
            "1e18",
            "\uff11",
        ]
    ),
    st.datetimes(timezones=st.sampled_from([UTC])).map(datetime.isoformat),
)


@settings(max_examples=150, deadline=None)
@given(KINDS, st.lists(CELLS, min_size=1, max_size=40))
def test_where_the_fast_way_is_sure_the_slow_way_gives_the_same_for_text(kind, cells):
    result = columns.store(kind, pa.array(cells, pa.string()), text=True)
    for i in np.flatnonzero(~result.doubtful):
        assert result.array[i].as_py() == stored(kind, cells[i], text=True)


@settings(max_examples=150, deadline=None)
@given(
    KINDS,
    st.lists(st.none() | st.floats(), min_size=1),
    st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), min_size=1),
)
def test_where_the_fast_way_is_sure_the_slow_way_gives_the_same_for_numbers(kind, floats, integers):
    assume(kind.numeric)
    for column in (pa.array(floats, pa.float64()), pa.array(integers, pa.int64())):
        result = columns.store(kind, column)
        for i in np.flatnonzero(~result.doubtful):
            assert result.array[i].as_py() == stored(kind, column[i].as_py())


@given(
    st.datetimes(datetime(1900, 1, 2), datetime(2200, 12, 30)),  # noqa: DTZ001
    st.sampled_from(["s", "ms", "us"]),
)
def test_moments_of_any_unit_are_rounded_down_to_microseconds(moment, unit):
    moment = moment.replace(
        tzinfo=UTC,
        microsecond={"s": 0, "ms": moment.microsecond // 1000 * 1000}.get(unit, moment.microsecond),
    )
    plain = columns.plain(pa.array([moment], pa.timestamp(unit, "UTC")))
    assert plain[0].as_py() == (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(
        microseconds=1
    )
