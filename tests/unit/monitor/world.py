"""A small mesh in memory for the monitor's tests: a definition, events and log messages as the real
services write them.
"""

from __future__ import annotations

import msgspec
import numpy as np
import pyarrow as pa

from monitor_svc.settings import MonitorSettings
from monitor_svc.state import State
from schemas import events as ev
from schemas.packs import KNOWN, PACK, RAW, PackHeader, encode_pack
from twinstream import Int, Label, Model, Pipeline, Source, String, Timestamp, View, mean
from twinstream.define.label import Settles
from twinstream.mesh.settings import MeshSettings

HOUR = 3_600_000_000
DAY = 24 * HOUR

flight = {"flight_id": String(), "origin": String()}
schedules = Source(
    "schedules",
    fields={**flight, "asked_at": Timestamp(), "distance": Int()},
    id="flight_id",
    key="origin",
    event_time="asked_at",
)
arrivals = Source(
    "arrivals",
    fields={**flight, "arrived_at": Timestamp(), "delay": Int(optional=True)},
    id="flight_id",
    key="origin",
    event_time="arrived_at",
)
weather = Source(
    "weather",
    fields={"origin": String(), "at": Timestamp(), "wind": Int()},
    id=("origin", "at"),
    key="origin",
    event_time="at",
)


def pipeline(missing: float | None = True, settles: Settles = "at once") -> Pipeline:
    """Every arrival of this world is an hour after its question, late or not."""
    late = Label(
        "late",
        arrivals,
        on="flight_id",
        horizon="24h",
        value=lambda r: r.delay >= 15,
        missing=missing,
        settles=settles,
    )
    views = [
        View(
            "by-origin", arrivals, by="origin", features={"delay": mean("delay").over("1h", "24h")}
        ),
        View("sky", weather, by="origin", features={"wind": mean("wind").over("3h")}),
    ]
    return Pipeline(
        "flights",
        models=[
            Model(
                "late-arrival",
                spine=schedules,
                at="asked_at",
                views=views,
                label=late,
                good_enough={"auc": 0.75},
            )
        ],
    )


def state(
    clock: str = "replay",
    missing: float | None = True,
    settles: Settles = "at once",
    **knobs: float,
) -> State:
    return State(
        pipeline(missing, settles),
        MeshSettings(pipeline="p.py", clock=clock),
        MonitorSettings(**knobs),
    )


def prediction(
    flight_id: str,
    at_us: int,
    score: float,
    *,
    model: str = "m1",
    epoch: int = 1,
    served_us: int = 0,
    **features: float | None,
) -> ev.PredictionServed:
    row = ev.ServedRow(
        at_us=at_us,
        request={"flight_id": flight_id, "origin": "JFK", "distance": 500},
        features=list(features.values()),
        output=score,
    )
    return ev.PredictionServed(
        id=f"p-{flight_id}",
        model="late-arrival",
        release=ev.Release(definition="d" * 64, epoch=epoch, model=model),
        inputs=list(features),
        positions={},
        places={},
        rows=[row],
        served_at_us=served_us,
    )


def with_row(
    event: ev.PredictionServed, request: dict[str, object], features: dict[str, object]
) -> ev.PredictionServed:
    """The same prediction of another request with other features."""
    row = msgspec.structs.replace(event.rows[0], request=request, features=[*features.values()])
    return msgspec.structs.replace(event, rows=[row], inputs=[*features])


def pack(
    rows: list[tuple[str, int, int | None]], raw_first: int = 0, known_us: int | None = None
) -> bytes:
    """A log message of arrivals (flight_id, arrived_at, delay), known when they arrive."""
    raws = list(range(raw_first, raw_first + len(rows)))
    known = [at if known_us is None else known_us for _, at, _ in rows]
    columns = {
        RAW: raws,
        KNOWN: known,
        "flight_id": [r[0] for r in rows],
        "origin": ["JFK"] * len(rows),
        "arrived_at": [r[1] for r in rows],
        "delay": [r[2] for r in rows],
    }
    batch = pa.RecordBatch.from_pydict(columns, schema=arrivals.pack_schema)
    last = raw_first + len(rows) - 1
    header = PackHeader(
        kind=PACK,
        epoch=1,
        rows=len(rows),
        raw_first=raw_first,
        raw_last=last,
        raw_high=last,
        known_max_us=max(known, default=0),
    )
    return encode_pack(header, batch)


def scores_and_labels(n: int, skill: float, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Scores whose ordering knows more of the labels the higher `skill` is."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(n) < 0.3).astype(float)
    return 1 / (1 + np.exp(-(skill * (labels - 0.5) + rng.normal(size=n) - 0.8))), labels
