"""Whatever the decoder accepts has an answer that is finite or null, one for all interpreters, and the one that the documentation gives."""

from __future__ import annotations

from decimal import localcontext

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.laws.cases import AGGREGATES, edge_records, plan_of, questions, shown, source
from twinstream.algebra import chunks, fold, kernel, keys
from twinstream.algebra.pit import Events, Spine, point_in_time
from twinstream.algebra.plan import ViewPlan
from twinstream.algebra.state import StateBatch
from twinstream.audit import plain
from twinstream.define.records import Decoder

some = st.lists(edge_records, max_size=14)
laws = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
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
    return {f"{o.feature}_{o.window}": numbers[o.at : o.at + o.width].tolist() for o in plan.outputs}


def of_every_interpreter(plan: ViewPlan, batch: pa.RecordBatch, key: bytes, at_us: int) -> list[bytes]:
    """The answers of one key at a moment: by the fold, of whole states, of chunks, of unmerged states, point in time."""
    position, half = np.arange(batch.num_rows), batch.num_rows // 2
    state = kernel.lift(plan, batch, position)
    parts = [kernel.lift(plan, batch[:half], position[:half]), kernel.lift(plan, batch[half:], position[half:])]
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
    return [a.tobytes() for a in (*asked, swept, np.array(fold.answers(plan.view, records, key, at_us)))]


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
        mine = [row for row in records if keys.encode([row.record["shop"], row.record["till"]]) == key]
        served, meant = named(plan, numbers), plain.answers(plan.view, mine, at_us)
        assert not {n: (a, served[n]) for n, a in meant.items() if not a.agrees(served[n])}


@law
@pytest.mark.parametrize("at_us", [0, 2**63 - 1, -(2**63), 2**63 - 1 - 10**13, 10**13 - 2**63])
def test_question_about_any_moment_of_no_record_is_answered(name, at_us):
    found = of_every_interpreter(plan_of(name), decoded([]), b"nobody", at_us)
    assert len(set(found)) == 1
