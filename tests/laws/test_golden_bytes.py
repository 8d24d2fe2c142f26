"""States written by release 0.1 are read, and written, to the byte.
Once it is out, a new form gets new files beside these.

`python -m tests.laws.test_golden_bytes NAME` makes the files of a new form.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from twinstream import (
    Bool,
    Decimal,
    Int,
    Source,
    String,
    Timestamp,
    View,
    count,
    count_by,
    distinct,
    first,
    last,
    last_k,
    maximum,
    mean,
    minimum,
    quantile,
    share,
    std,
    sum_,
    variance,
)
from twinstream.algebra import kernel
from twinstream.algebra.plan import ViewPlan
from twinstream.algebra.state import StateBatch

FOLDER = Path(__file__).parent / "golden"
FORMS = ["v1"]
WINDOWS = ("1h", "24h", "30d", "all")
DAY = 86_400_000_000

source = Source(
    "sales",
    id="id",
    key="shop",
    event_time="sold_at",
    fields={
        "id": String(),
        "shop": String(),
        "sold_at": Timestamp(),
        "size": Int(optional=True),
        "amount": Decimal(2),
        "paid": Bool(),
    },
)
view = View(
    "golden",
    source,
    by="shop",
    features={
        "count": count().over(*WINDOWS),
        "sum": sum_("size").over(*WINDOWS),
        "mean": mean("amount").over(*WINDOWS),
        "variance": variance("amount").over(*WINDOWS),
        "std": std("size").over(*WINDOWS),
        "minimum": minimum("size").over(*WINDOWS),
        "maximum": maximum("amount").over(*WINDOWS),
        "first": first("size").over(*WINDOWS),
        "last": last("amount").over(*WINDOWS),
        "last_k": last_k("size", 3, where=lambda r: r.paid).over(*WINDOWS),
        "share": share("paid").over(*WINDOWS),
        "count_by": count_by("size", [1, 2, 3]).over(*WINDOWS),
        "quantile": quantile("amount", 0.9).over(*WINDOWS),
        "distinct": distinct("id").over(*WINDOWS),
    },
)
plan = ViewPlan(view)


def rows() -> list[dict]:
    """Sixty records of three shops around 1970 and 2013, one value null in five, from a plain
    recurrence.
    """
    found, x = [], 1
    for i in range(60):
        x = x * 6_364_136_223_846_793_005 + 1_442_695_040_888_963_407 & 2**64 - 1
        start = 0 if i % 4 == 0 else 15_800 * DAY
        found.append(
            {
                "id": f"r{x % 41}",
                "shop": "abc"[x >> 60 & 1 or i % 3],
                "sold_at": start + (x >> 20) % (40 * DAY) - DAY,
                "size": None if i % 5 == 0 else (x >> 33) % 9 - 2,
                "amount": (x >> 13) % 10**7 - 10**6,
                "paid": bool(x >> 40 & 1),
            }
        )
    return found


def lifted() -> StateBatch:
    return kernel.lift(
        plan, pa.RecordBatch.from_pylist(rows(), schema=source.schema), np.arange(60) - 30
    )


def answers(state: StateBatch) -> dict[str, list[str]]:
    """The answers of each key at the moment of its latest record, as hexadecimal floats."""
    at = np.array(
        [
            max(row["sold_at"] for row in rows() if row["shop"].encode() == key)
            for key in state.keys
        ],
        np.int64,
    )
    found = kernel.read_many(plan, state.words, state.offsets, at)
    return {
        key.decode(): [float(value).hex() for value in row]
        for key, row in zip(state.keys, found, strict=True)
    }


@pytest.mark.parametrize("form", FORMS)
def test_states_of_an_earlier_release_are_read(form):
    state = StateBatch.from_bytes((FOLDER / f"{form}.states").read_bytes())
    assert answers(state) == json.loads((FOLDER / f"{form}.answers.json").read_text())


@pytest.mark.parametrize("form", FORMS)
def test_states_of_an_earlier_release_merge_with_those_of_today(form):
    state = StateBatch.from_bytes((FOLDER / f"{form}.states").read_bytes())
    twice = kernel.merge(plan, [state, lifted()])
    assert twice.to_bytes() == kernel.merge(plan, [lifted(), lifted()]).to_bytes()


def test_todays_bytes_are_those_of_the_newest_form():
    assert lifted().to_bytes() == (FOLDER / f"{FORMS[-1]}.states").read_bytes()


def test_digest_of_the_plan_is_that_of_the_newest_form():
    assert plan.digest == (FOLDER / f"{FORMS[-1]}.digest").read_text().strip()


if __name__ == "__main__":
    FOLDER.joinpath(f"{sys.argv[1]}.states").write_bytes(lifted().to_bytes())
    FOLDER.joinpath(f"{sys.argv[1]}.answers.json").write_text(
        json.dumps(answers(lifted()), indent=1)
    )
    FOLDER.joinpath(f"{sys.argv[1]}.digest").write_text(plan.digest + "\n")
