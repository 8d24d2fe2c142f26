"""Every sender of live records gives one record one key."""

from decimal import Decimal as Exact
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinstream.cli.sending import keyed
from twinstream.define import Bool, Decimal, Int, Source, String, Timestamp
from twinstream.define.records import Decoder
from twinstream.protocol.record_key import key_of, key_of_each

KINDS = {
    "int": Int(),
    "decimal": Decimal(2),
    "text": String(),
    "moment": Timestamp(),
    "truth": Bool(),
}
CLEAN = {"int": ["clip(-5, 2000000)"], "decimal": "clip(0, 99.5)", "text": ["strip", "lower"]}
values = st.sampled_from(
    [
        "10",
        "10.0",
        "1e1",
        "-0",
        "-0.0",
        "10.005",
        "2.665",
        "2.66500000000000000000001",
        '"a"',
        '" A "',
        '"10"',
        "true",
        "false",
        "null",
        "1.5",
        "5296496603461.475",
        "1700000000000000",
        '"2023-11-14T22:13:20Z"',
        "[]",
        "1e400",
        '"\\u001f"',
        "123456789012345678",
    ]
)


def source(kind, *, cleaned):
    fields = {"id": String(), "key": KINDS[kind], "at": Timestamp()}
    clean = {"key": CLEAN[kind]} if cleaned and kind in CLEAN else {}
    return Source("x", fields=fields, id="id", key="key", event_time="at", clean=clean)


@given(st.sampled_from(sorted(KINDS)), values, st.booleans())
def test_one_record_and_a_batch_of_them_have_one_key(kind, text, cleaned):
    made = source(kind, cleaned=cleaned)
    line = f'{{"id": "a", "at": 0, "key": {text}}}'.encode()
    decoded = Decoder(made).json([line])
    record = msgspec.json.Decoder(dict[str, Any], float_hook=Exact).decode(line)
    if not decoded.errors:
        assert [key_of(made, record)] == key_of_each(made, decoded.batch)


@pytest.mark.parametrize("text", ["10", "10.0", "1.0e1"])
def test_a_whole_number_is_one_key_however_it_is_written(text):
    (line,) = keyed(
        source("int", cleaned=False), [f'{{"id": "a", "at": 0, "key": {text}}}'.encode()]
    )
    assert line.key == b"10"


def test_a_key_that_does_not_fit_is_none():
    assert key_of(source("int", cleaned=True), {"key": "x"}) is None
