"""Whatever the decoder accepts has an answer that is finite or null, one for all interpreters,
and the one that the documentation gives.
"""

from __future__ import annotations

from decimal import localcontext

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.laws.cases import AGGREGATES, HOUR, edge_records, plan_of, questions, shown, source
from twinstream import View, last_k
from twinstream.algebra import chunks, fold, kernel, keys
from twinstream.algebra.pit import Events, Spine, point_in_time
from twinstream.algebra.plan import ViewPlan
from twinstream.algebra.state import StateBatch
from twinstream.audit import plain
from twinstream.define.records import Decoder

some = st.lists(edge_records, max_size=14)
laws = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
law = pytest.mark.parametrize("name", [*AGGREGATES, "everything"])
DECODER = Decoder(source, [("shop", "till")])


def decoded(rows) -> pa.RecordBatch:
    """By the decoder, which refuses those with a null in the key of the source."""
    with localcontext(prec=40):
        values = [msgspec.json.encode(shown(row)) for row in rows]
    found = DECODER.json(values).batch
    assert found.num_rows == sum(row["shop"] is not None for row in rows)
    return found


def named(plan: ViewPlan, numbers: np.ndarray) -> dict[str, list[float]]:
    return {
        f"{o.feature}_{o.window}": numbers[o.at : o.at + o.width].tolist() for o in plan.outputs
    }


def of_every_interpreter(
    plan: ViewPlan, batch: pa.RecordBatch, key: bytes, at_us: int
) -> list[bytes]:
    """The answers of one key at a moment: by the fold, of whole states, of chunks,
    of unmerged states, point in time.
    """
    position, half = np.arange(batch.num_rows), batch.num_rows // 2
    state = kernel.lift(plan, batch, position)
    parts = [
        kernel.lift(plan, batch[:half], position[:half]),
        kernel.lift(plan, batch[half:], position[half:]),
    ]
    chunked = kernel.lift(plan, batch, position, chunked=True)
    assert kernel.merge(plan, parts).to_bytes() == state.to_bytes()
    assert kernel.split_chunks(plan, state).to_bytes() == chunked.to_bytes()
    records = [(row, i) for i, row in enumerate(batch.to_pylist())]
    assert dict(zip(state.keys, state.blobs(), strict=True)) == fold.fold(plan.view, records)
    needed = [b"".join(blobs_of(chunked, k)) for k in chunks.needed(plan, key, at_us)]
    pieces = [blobs_of(state, key), blobs_of(parts[0], key) + blobs_of(parts[1], key), needed]
    asked = [kernel.read(plan, np.frombuffer(b"".join(blobs), np.int64), at_us) for blobs in pieces]
    events = Events(batch, position, np.full(batch.num_rows, -(2**63)))
    swept = point_in_time(plan, events, Spine([key], np.array([at_us], np.int64)))[0]
    return [
        a.tobytes() for a in (*asked, swept, np.array(fold.answers(plan.view, records, key, at_us)))
    ]


def blobs_of(state: StateBatch, key: bytes) -> list[bytes]:
    return [blob for k, blob in zip(state.keys, state.blobs(), strict=True) if k == key]


@law
@laws
@given(some, questions)
def test_every_interpreter_gives_the_documented_answer(name, rows, at_us):
    plan, batch = plan_of(name), decoded(rows)
    records = [plain.Row(row, i) for i, row in enumerate(batch.to_pylist())]
    for key in sorted({keys.encode([row.record["shop"], row.record["till"]]) for row in records}):
        found = of_every_interpreter(plan, batch, key, at_us)
        assert len(set(found)) == 1
        numbers = np.frombuffer(found[0])
        assert not np.isinf(numbers).any()
        mine = [
            row for row in records if keys.encode([row.record["shop"], row.record["till"]]) == key
        ]
        served, meant = named(plan, numbers), plain.answers(plan.view, mine, at_us)
        assert not {n: (a, served[n]) for n, a in meant.items() if not a.agrees(served[n])}


@law
@pytest.mark.parametrize("at_us", [0, 2**63 - 1, -(2**63), 2**63 - 1 - 10**13, 10**13 - 2**63])
def test_question_about_any_moment_of_no_record_is_answered(name, at_us):
    found = of_every_interpreter(plan_of(name), decoded([]), b"nobody", at_us)
    assert len(set(found)) == 1


ZEROS = ["0", "-0", "-0.0", "0.00", "0.004", "-0.005", "1e-400", "-1e-7", "0e999999"]


def at_zero(amounts: list[str]) -> pa.RecordBatch:
    """Decoded records of one key with these amounts, written as numbers."""
    row = b'{"id":"x","shop":"a","till":7,"sold_at":%d,"size":1,"amount":%s}'
    found = DECODER.json(
        [row % (i // 2, amount.encode()) for i, amount in enumerate(amounts)]
    ).batch
    assert found.num_rows == len(amounts)
    return found


@pytest.mark.parametrize("name", ["sum", "mean", "std", "minimum", "first", "last_k", "quantile"])
def test_every_way_of_writing_nothing_is_zero_without_a_sign(name):
    plan = plan_of(name)
    found = of_every_interpreter(plan, at_zero([*ZEROS, *reversed(ZEROS)]), b"a\x1f7", 9)
    assert len(set(found)) == 1
    numbers = [
        number
        for number, o in zip(np.frombuffer(found[0]), plan.names, strict=True)
        if "plain" in o
    ]
    assert set(numbers) <= {0.0}
    assert not any(np.signbit(numbers))


@pytest.mark.parametrize("k", [1, 2, 63, 64])
@pytest.mark.parametrize("n", [0, 1, 2, 63, 64, 65, 130])
def test_latest_values_are_those_of_the_latest_places_where_times_tie(k, n):
    """Two records a time; and as many values as are asked for, fewer, more."""
    plan = ViewPlan(
        View(
            "v", source, by=("shop", "till"), features={"x": last_k("amount", k).over("1h", "all")}
        )
    )
    batch = at_zero([str(i % 7 - 3) for i in range(n)])
    found = of_every_interpreter(plan, batch, b"a\x1f7", HOUR)
    newest = [float(i % 7 - 3) for i in reversed(range(n))][:k]
    expected = newest + [float("nan")] * (k - len(newest))
    assert len(set(found)) == 1
    np.testing.assert_array_equal(np.frombuffer(found[0]), expected * 2)
