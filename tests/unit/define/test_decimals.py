"""A decimal is rounded half-even as it is written, whichever way it comes:
the oracle is Python's own decimal arithmetic.
"""

import random
from decimal import ROUND_HALF_EVEN, Context
from decimal import Decimal as Exact

import pyarrow as pa
import pytest

from ingest_svc.json_scan import scan_of
from twinstream.define import Decimal, Source, String, Timestamp
from twinstream.define.records import Decoder

WIDE = Context(prec=200)
CASES = [
    (2, "5296496603461.475", 529649660346148),
    (4, "9634379334.21865", 96343793342186),
    (8, "4313659.913192445", 431365991319244),
    (2, "2.675", 268),
    (2, "1.005", 100),
    (2, "0.125", 12),
    (2, "0.135", 14),
    (2, "2.66500000000000000000001", 267),
    (2, "2.665", 266),
    (2, "-9174116023819.585", -917411602381958),
    (15, "0.5122778830091295", 512277883009130),
]


def source(places):
    fields = {"id": String(), "at": Timestamp(), "d": Decimal(places)}
    return Source("x", fields=fields, id="id", key="id", event_time="at")


def rounded(value, places):
    return int(value.scaleb(places, WIDE).to_integral_value(ROUND_HALF_EVEN, WIDE))


def every_way(texts, places):
    """Way -> stored values."""
    made = source(places)
    number = [f'{{"id": "{i}", "at": 0, "d": {text}}}'.encode() for i, text in enumerate(texts)]
    quoted = [f'{{"id": "{i}", "at": 0, "d": "{text}"}}'.encode() for i, text in enumerate(texts)]
    ids = [str(i) for i in range(len(texts))]
    row = {"id": ids, "at": [0] * len(texts)}
    ways = {
        "json": Decoder(made).json(number),
        "scan": Decoder(made, scan=scan_of(made)).json(number),
        "text in json": Decoder(made).json(quoted),
        "csv": Decoder(made).table(
            pa.table({"id": ids, "at": ["0"] * len(texts), "d": texts}), text=True
        ),
        "text in parquet": Decoder(made).table(pa.table(row | {"d": texts})),
        "float in parquet": Decoder(made).table(pa.table(row | {"d": list(map(float, texts))})),
        "exact in parquet": Decoder(made).table(
            pa.table(row | {"d": pa.array([Exact(t) for t in texts])})
        ),
    }
    return {way: decoded.batch.column("d").to_pylist() for way, decoded in ways.items()}


def ties(seed, places, n=3000):
    """Numbers of 12 to 16 digits that end half-way between two of `places`, and others near by."""
    dice = random.Random(seed)
    for _ in range(n):
        digits = "".join(dice.choices("0123456789", k=dice.randint(11, 15))) + dice.choice("55549")
        shift = -places - dice.choice([1, 1, 1, 2])
        yield format(Exact(int(digits)).scaleb(shift, WIDE), "f")


@pytest.mark.parametrize(("places", "text", "right"), CASES)
def test_a_decimal_of_many_digits_is_one_number_in_every_way(places, text, right):
    assert rounded(Exact(text), places) == right
    found = every_way([text], places)
    written = rounded(Exact(repr(float(text))), places)
    assert found == {way: [right] for way in found} | {"float in parquet": [written]}


@pytest.mark.parametrize("places", [0, 1, 2, 3, 5, 8, 12])
def test_ties_are_rounded_as_written_in_every_way(places):
    texts = list(ties(places, places))
    right = [rounded(Exact(text), places) for text in texts]
    shortest = [rounded(Exact(repr(float(text))), places) for text in texts]
    for way, found in every_way(texts, places).items():
        assert found == (shortest if way == "float in parquet" else right), way
