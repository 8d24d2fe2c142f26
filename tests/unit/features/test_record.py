"""What is remembered of many rows at once is what is remembered of each, and its digest is found
again in what was sent.
"""

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from twinstream.features import record
from twinstream.features.arrays import Features
from twinstream.features.inputs import Inputs

NUMBERS = st.floats(allow_infinity=False) | st.sampled_from([float("nan"), -0.0])
TEXTS = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=5)


@given(st.data(), st.integers(1, 5), st.integers(0, 3), st.integers(0, 2), st.integers(0, 2))
def test_many_rows_are_each_row(
    data: st.DataObject, rows: int, numeric: int, texts: int, sequences: int
) -> None:
    inputs = Inputs(
        tuple(f"n{i}" for i in range(numeric)),
        tuple(f"t{i}" for i in range(texts)),
        tuple((f"s{i}", i + 1) for i in range(sequences)),
    )
    features = Features(
        data.draw(arrays(np.float64, (rows, numeric), elements=NUMBERS)),
        [data.draw(st.lists(TEXTS, min_size=rows, max_size=rows)) for _ in range(texts)],
        data.draw(arrays(np.float64, (rows, sequences, inputs.longest), elements=NUMBERS)),
    )
    sent = msgspec.json.decode(msgspec.json.encode(record.lists(features, inputs)))
    named = [dict(zip(inputs.names, row, strict=True)) for row in sent]
    assert named == [record.values(features, i, inputs) for i in range(rows)]
    for i, row in enumerate(named):
        assert record.digest_of(row, inputs) == record.digest(features, i, inputs)
    for lists in (sent, record.lists(features, inputs)):
        again = record.from_lists(lists, inputs)
        for i in range(rows):
            assert record.digest(again, i, inputs) == record.digest(features, i, inputs)
