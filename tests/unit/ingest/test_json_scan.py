"""The scan of plain JSON gives what the decoder gives, or says that it is not sure."""

import json
import random

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest_svc.json_scan import scan_of
from twinstream import Bool, Decimal, Int, Source, String, Timestamp
from twinstream.define.fields.base import UNSCANNED
from twinstream.define.limits import FIRST_US, LAST_US, LIMIT
from twinstream.define.records import Decoder

SOURCE = Source(
    "trips",
    id="trip",
    key="trip",
    event_time="at",
    fields={
        "trip": String(optional=True),
        "at": Timestamp(optional=True),
        "n": Int(optional=True),
        "fare": Decimal(2, optional=True),
        "paid": Bool(optional=True),
        "note": String(optional=True),
        "fine": Decimal(15, optional=True),
    },
)
SCAN = scan_of(SOURCE)
PLAIN, FAST = Decoder(SOURCE), Decoder(SOURCE, scan=SCAN)
GOOD = {
    "trip": "t",
    "at": "2013-10-01T10:00:00Z",
    "n": 7,
    "fare": 1.25,
    "paid": True,
    "note": "é",
    "fine": 0.5,
}


def line(**change: object) -> bytes:
    return json.dumps(GOOD | change, ensure_ascii=False).encode()


def check(values: list[bytes]) -> None:
    """Both ways give the same of all, and of each alone."""
    for some in (values, *([value] for value in values)):
        plain, fast = PLAIN.json(some), FAST.json(some)
        assert fast.errors == plain.errors
        assert fast.index.tolist() == plain.index.tolist()
        assert fast.batch.equals(plain.batch)
        assert fast.ids.equals(plain.ids)


def is_sure(value: bytes) -> bool:
    return bool(SCAN([value])[1][0])


numbers = (
    st.integers(-(2**64), 2**64)
    | st.integers(-1000, 1000)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.decimals(-(10**6), 10**6, places=2).map(float)
)
texts = st.text(max_size=8) | st.sampled_from(
    ['"', "\\", "\n", "\x7f", " ", "€", "a\x1fb", "2013-10-01T10:00:00Z", "12", "true"]
)
moments = st.datetimes().map(lambda t: t.isoformat() + "Z") | st.from_regex(
    r"\A20[01][0-9]-[0-3][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9](\.[0-9]{1,7})?(Z|z|\+01:00)?\Z"
)
scalars = (
    st.none()
    | st.booleans()
    | numbers
    | texts
    | moments
    | st.integers(FIRST_US - 2, FIRST_US + 2)
    | st.integers(LAST_US - 2, LAST_US + 2)
    | st.integers(LIMIT - 2, LIMIT + 2)
)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=4,
)
names = st.sampled_from([*SOURCE.fields, "other", "tri", "trips", ""]) | texts
objects = st.lists(st.tuples(names, scalars | anything), max_size=8)
blank = st.sampled_from(["", " ", "\t", "\n", "\r\n ", "  "])


@st.composite
def documents(draw: st.DrawFn) -> bytes:
    """An object written by hand: names may come twice, blanks stand anywhere."""
    ascii_only = draw(st.booleans())
    members = [
        f"{draw(blank)}{json.dumps(n, ensure_ascii=ascii_only)}{draw(blank)}:{draw(blank)}{json.dumps(v, ensure_ascii=ascii_only)}{draw(blank)}"
        for n, v in draw(objects)
    ]
    return f"{draw(blank)}{{{draw(blank)}{','.join(members)}}}{draw(blank)}".encode(
        "utf-8", "surrogatepass"
    )


@settings(max_examples=400)
@given(st.lists(documents(), max_size=5))
def test_scan_and_decoder_agree_on_objects(values):
    check(values)


@settings(max_examples=400)
@given(
    documents()
    | st.sampled_from(
        [line(), line(more="x", n=None), line(at=5), line(at="2013-10-01T10:00:00.123456Z")]
    ),
    st.data(),
)
def test_scan_and_decoder_agree_on_broken_bytes(value, data):
    place = data.draw(st.integers(0, len(value)))
    junk = data.draw(
        st.binary(max_size=2)
        | st.sampled_from(
            [
                b",",
                b"}",
                b"{",
                b'"',
                b"\0",
                b"\\",
                b"0",
                b"-",
                b".",
                b"e5",
                b"\xff",
                b"\xed\xa0\x80",
            ]
        )
    )
    check([line(), value[:place] + junk + value[place + data.draw(st.integers(0, 2)) :], line(n=8)])


@pytest.mark.parametrize(
    "value",
    [
        b"{}",
        b" { } ",
        line(),
        line(at=0),
        line(at=FIRST_US),
        line(at=LAST_US),
        line(n=-5),
        line(n=10**17),
        line(fare=-3),
        line(fare=0.1),
        line(fine=0.123456789012345),
        line(other=None, more=[1][0], text="x", yes=True),
        line(trip=None, n=None),
        line(at="2000-12-31T23:59:59.5Z"),
        line(at="1969-12-31T23:59:59.999999Z"),
        line(trip="€uro"),
        b'{"n":7}',
        b'\t{\n"n" : 7\r,"trip":"x" } ',
        b'{"n":-0}',
        b'{"fare":-0.0}',
    ],
)
def test_it_is_sure_of_plain_records(value):
    assert is_sure(value)
    check([value])


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"{",
        b"}",
        b"[]",
        b"7",
        b"{} {}",
        b"{}x",
        b'{"n":7,}',
        b'{"x":7, }',
        b'{,"n":7}',
        b'{"n" 7}',
        b'{"n":}',
        b'{"n":7 "trip":"x"}',
        b'{"n":07}',
        b'{"n":-}',
        b'{"n":+7}',
        b'{"n":.5}',
        b'{"n":7.}',
        b'{"n":7e1}',
        b'{"n":7.0}',
        b'{"n":1234567890123456789}',
        b'{"n":"7"}',
        b'{"n":true}',
        b'{"n":nul}',
        b'{"n":NaN}',
        b'{"n":7,"n":8}',
        b'{"fare":1.005}',
        b'{"fare":"1.5"}',
        b'{"fine":123456789012.5}',
        b'{"trip":"a\\n"}',
        b'{"trip":"a\n"}',
        b'{"trip":7}',
        b'{"trip":"a',
        b'{"tr\\u0069p":"a"}',
        b'{"x":[]}',
        b'{"x":{}}',
        b'{"paid":1}',
        b'{"at":"2013-10-01 10:00:00Z"}',
        b'{"at":"2013-10-01T10:00:00"}',
        b'{"at":"2013-10-01T10:00:00.Z"}',
        b'{"at":"2013-13-01T10:00:00Z"}',
        b'{"at":"2013-04-31T10:00:00Z"}',
        b'{"at":"2013-10-01T24:00:00Z"}',
        b'{"at":"2013-10-01T10:00:60Z"}',
        b'{"at":"1899-12-31T23:59:59Z"}',
        b'{"at":"2013-10-01T10:00:00.1234567Z"}',
        b'{"at":"-013-10-01T10:00:00Z"}',
        b'{"at":"2013-10-01T1a:00:00Z"}',
        b'{"trip":"\xff"}',
        b"\xef\xbb\xbf{}",
        b'{"n":7}\0',
        b"null",
    ],
)
def test_it_is_not_sure_of_others(value):
    assert not is_sure(value)
    check([line(), value, line(n=8)])


def test_no_byte_of_a_record_can_be_another_one_or_missing_or_twice_unnoticed():
    record = line(at="2013-10-01T10:00:00.123456Z", more=-1.5, n=-120)
    junk = [b"", *(bytes([c]) for c in b'x/:-+.0 9Ze"\\,{}[]tn\0\x7f\xc3')]
    check(
        [record[:i] + j + record[k:] for i in range(len(record)) for j in junk for k in (i, i + 1)]
    )


def test_rows_of_which_it_is_not_sure_stand_among_the_others_in_their_order():
    dice = random.Random(3)
    values = [
        dice.choice(
            [
                line(n=i),
                line(n=i, trip="a\n"),
                line(n=float(i)),
                b"nope",
                line(n="x"),
                line(fare=i + 0.005),
            ]
        )
        for i in range(500)
    ]
    check(values)
    assert 0 < sum(map(is_sure, values)) < 500


def test_a_source_with_very_many_fields_has_no_scan():
    fields = {"id": String(), "at": Timestamp(), **{f"f{i}": Int(optional=True) for i in range(61)}}
    assert scan_of(Source("wide", id="id", key="id", event_time="at", fields=fields)) is None
    del fields["f60"]
    wide = Source("wide", id="id", key="id", event_time="at", fields=fields)
    values = [json.dumps({"id": "a", "at": 5, **{f"f{i}": i for i in range(60)}}).encode()]
    assert scan_of(wide)(values)[1].all()
    assert (
        Decoder(wide, scan=scan_of(wide))
        .json(values)
        .batch.equals(Decoder(wide).json(values).batch)
    )


def test_a_source_with_a_type_that_is_unknown_here_has_no_scan(monkeypatch):
    monkeypatch.setattr(Decimal, "scan_code", UNSCANNED)
    assert scan_of(SOURCE) is None


def test_nothing_gives_nothing():
    assert FAST.json([]).batch.num_rows == 0
    assert isinstance(FAST.json([]).batch, pa.RecordBatch)
