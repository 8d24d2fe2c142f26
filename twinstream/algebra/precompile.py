"""Compiles every hot loop once and keeps the code on disk: `python -m
twinstream.algebra.precompile`, so that no process of a mesh has to.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from twinstream.aggregates import distinct, mean, quantile
from twinstream.algebra import kernel
from twinstream.algebra.pit import Events, Spine, point_in_time
from twinstream.algebra.plan import ViewPlan
from twinstream.define.compiled import cells
from twinstream.define.fields import Int, String, Timestamp
from twinstream.define.source import Source
from twinstream.define.view import View
from twinstream.files import csv_scan


def precompile() -> None:
    """One compilation serves all plans, so any view will do."""
    source = Source(
        "anything",
        id="id",
        key="id",
        event_time="at",
        fields={"id": String(), "at": Timestamp(), "size": Int()},
    )
    features = {
        "mean": mean("size").over("1h"),
        "median": quantile("size", 0.5).over("1h"),
        "ids": distinct("id").over("1h"),
    }
    plan = ViewPlan(View("anything", source, by="id", features=features))
    kernel.warm_up(plan)
    cells.warm_up()
    csv_scan.warm_up()
    nothing = np.zeros(0, np.int64)
    events = Events(pa.RecordBatch.from_pylist([], schema=source.schema), nothing, nothing)
    point_in_time(plan, events, Spine([b"0"], np.zeros(1, np.int64)))


if __name__ == "__main__":
    precompile()
