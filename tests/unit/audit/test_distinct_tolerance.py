"""Two values may share a register of an estimate: no audit calls that a difference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from twinstream import Int, Source, String, Timestamp, View, distinct
from twinstream.algebra import kernel
from twinstream.algebra.plan import ViewPlan
from twinstream.audit.plain import Row, answers

NOW = 1_700_000_000_000_000
VISITS = Source(
    "visits",
    id="id",
    key="who",
    event_time="at",
    fields={"id": String(), "who": String(), "at": Timestamp(), "n": Int()},
)
VIEW = View("v", VISITS, by="who", features={"n": distinct("n").over("all")})


def meant_and_given(values: list[int]) -> tuple[bool, float]:
    records: list[dict[str, Any]] = [{"id": str(n), "who": "a", "at": NOW, "n": n} for n in values]
    batch = batch_of(records)
    plan = ViewPlan(VIEW)
    words = kernel.lift(plan, batch, np.arange(len(records))).words
    given = kernel.read(plan, words, NOW).tolist()
    rows = [Row(record, i) for i, record in enumerate(records)]
    meant = answers(VIEW, rows, NOW)["n_all"]
    return meant.agrees(given), given[0]


def batch_of(records: list[dict[str, Any]]) -> pa.RecordBatch:
    columns = {name: [record[name] for record in records] for name in VISITS.fields}
    return pa.RecordBatch.from_pydict(columns, schema=VISITS.schema)


def test_two_values_in_one_register_are_no_difference() -> None:
    shared = next(n for n in range(1, 60_000) if meant_and_given([0, n])[1] < 1.5)
    agrees, given = meant_and_given([0, shared])
    assert (agrees, round(given)) == (True, 1)


@pytest.mark.parametrize("given", [0.0, 3.0, 0.5])
def test_what_no_register_explains_is_a_difference(given: float) -> None:
    rows = [Row({"id": str(n), "who": "a", "at": NOW, "n": n}, n) for n in range(2)]
    assert not answers(VIEW, rows, NOW)["n_all"].agrees([given])
