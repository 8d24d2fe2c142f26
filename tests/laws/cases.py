"""What the laws run over: one line an aggregate, and records chosen to hurt."""

from __future__ import annotations

from decimal import Decimal as Exact
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

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
    time_since_last,
    variance,
)
from twinstream.algebra.plan import ViewPlan
from twinstream.define.limits import FIRST_US, LAST_US

AGGREGATES: dict[str, Any] = {
    "count": lambda **o: count("amount", **o),
    "sum": lambda **o: sum_("amount", **o),
    "mean": lambda **o: mean("amount", **o),
    "variance": lambda **o: variance("size", **o),
    "std": lambda **o: std("amount", **o),
    "minimum": lambda **o: minimum("amount", **o),
    "maximum": lambda **o: maximum("size", **o),
    "first": lambda **o: first("amount", **o),
    "last": lambda **o: last("size", **o),
    "last_k": lambda **o: last_k("amount", 3, **o),
    "share": lambda **o: share(lambda r: r.size > 3, **o),
    "count_by": lambda **o: count_by("place", ["", "a", "é"], **o),
    "quantile": lambda **o: quantile("amount", 0.29, **o),
    "distinct": lambda **o: distinct("place", **o),
    "time_since_last": lambda **o: time_since_last("place", **o),
}
WINDOWS = ("5m", "7m", "3h", "24h", "40h", "30d", "365d", "all")

source = Source(
    "sales",
    id="id",
    key="shop",
    event_time="sold_at",
    fields={
        "id": String(),
        "shop": String(optional=True),
        "till": Int(optional=True),
        "sold_at": Timestamp(),
        "size": Int(optional=True),
        "amount": Decimal(2, optional=True),
        "paid": Bool(optional=True),
        "place": String(optional=True),
    },
)


@cache
def plan_of(name: str) -> ViewPlan:
    """The plan of a view with one aggregate, or with all of them."""
    names = list(AGGREGATES) if name == "everything" else [name]
    features = {f"{n}_plain": AGGREGATES[n]().over(*WINDOWS) for n in names}
    features |= {
        f"{n}_where": AGGREGATES[n](where=lambda r: r.paid).over("1h", "2d") for n in names
    }
    return ViewPlan(
        View(
            name.replace("_", "-"),
            source,
            by=("shop", "till"),
            features=features,
            where=lambda r: ~(r.size == 13),
        )
    )


HOUR, DAY = 3_600_000_000, 86_400_000_000
_SPOTS = [0, 15_000 * DAY, 15_000 * DAY + 11 * HOUR, -25_000 * DAY, 80_000 * DAY]
_STEPS = [-1, 0, 1, 299_999_999, 300_000_000, HOUR - 1, HOUR, DAY, 31 * DAY, 364 * DAY]

moments = st.builds(
    lambda spot, step, more: spot + step + more,
    st.sampled_from(_SPOTS[:3] * 3 + _SPOTS),
    st.sampled_from(_STEPS),
    st.integers(0, 3 * HOUR),
)
numbers = (
    st.none()
    | st.integers(-3, 20)
    | st.integers(-(10**6), 10**6)
    | st.integers(-(2**62), 2**62)
    | st.sampled_from([2**62, -(2**62)])
)
texts = st.none() | st.sampled_from(["", "a", "b", "é", "a\x00"]) | st.text(max_size=9)
records = st.fixed_dictionaries(
    {
        "id": st.just("x"),
        "shop": st.sampled_from([None, "", "a", "a\x01", "ab"]),
        "till": st.sampled_from([None, -1, 7, 7, 10]),
        "sold_at": moments,
        "size": st.integers(0, 13) | numbers,
        "amount": numbers,
        "paid": st.sampled_from([None, True, False]),
        "place": texts,
    }
)


def batch_of(rows: list[dict[str, Any]]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(rows, schema=source.schema)


def placed(rows: list[dict[str, Any]]) -> list[tuple[dict[str, Any], int]]:
    """Records with positions, as the fold takes them; the first half came in files,
    whose positions are negative.
    """
    return [(row, i - len(rows) // 2) for i, row in enumerate(rows)]


def columns_of(found: list[tuple[dict[str, Any], int]]) -> tuple[pa.RecordBatch, np.ndarray]:
    """The same, as the kernel takes them."""
    return batch_of([row for row, _ in found]), np.array(
        [position for _, position in found], np.int64
    )


def shown(row: dict[str, Any]) -> dict[str, Any]:
    """A record of stored values as a client writes it."""
    amount = row["amount"]
    return row | {"amount": None if amount is None else str(Exact(amount).scaleb(-2))}


EDGES = [2**62, -(2**62), 2**62 - 1, 1 - 2**62, 2**53 + 1, 1, 0, -1]
LAST_DAY = LAST_US - DAY
edge_moments = moments | st.sampled_from([FIRST_US, FIRST_US + 1, LAST_US, LAST_DAY, -1, 0, 1])
edge_numbers = st.sampled_from(EDGES) | numbers
edge_texts = (
    st.sampled_from(["", "a", "\x00", "a\x00", "\U0010ffff", "\x7f", "ÿ", "é", "e\u0301"]) | texts
)
edge_records = st.fixed_dictionaries(
    {
        "id": st.just("x"),
        "shop": st.sampled_from(["", "\x00", "a", "a\x00", "\U0010ffff", None]),
        "till": st.sampled_from([0, -1, 2**62, -(2**62)]),
        "sold_at": edge_moments,
        "size": edge_numbers,
        "amount": edge_numbers,
        "paid": st.sampled_from([None, True, False]),
        "place": edge_texts,
    }
)
"""Records that the decoder accepts, at the ends of what it accepts."""
questions = edge_moments | st.sampled_from(
    [FIRST_US - 400 * DAY, LAST_US + 400 * DAY, 2**63 - 1, -(2**63), 2**62, -(2**62)]
)
