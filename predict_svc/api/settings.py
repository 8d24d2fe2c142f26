"""Every knob of the predictor, from `TWINSTREAM_PREDICT_<NAME>` (its port is the mesh's TWINSTREAM_PREDICT_PORT)."""

from __future__ import annotations

from typing import ClassVar, Literal

from twinstream.mesh.knobs import Knobs


class PredictSettings(Knobs, frozen=True, kw_only=True):
    """How requests are answered."""

    PREFIX: ClassVar[str] = "TWINSTREAM_PREDICT_"

    threads: int = 12
    """Threads that answer requests; as many more may wait for one, and what comes beyond is shed with 503. Health has threads of its own."""
    waiters: int = 6
    """Requests that may wait for a position at the same time; what comes beyond is shed with 503."""
    body_bytes: int = 32_000_000
    """A larger body is answered with 413."""
    body_s: float = 10.0
    """A body that takes longer to come is answered with 408."""
    unsent_events: int = 200_000
    """Prediction events that wait for Kafka, in memory and on disk; beyond it see `unkept`."""
    unkept: Literal["refuse", "count"] = "refuse"
    """What happens to a request whose event can be kept no more (too many wait, or the disk is full):
    `refuse` answers 503, `count` answers it and counts its event as lost.
    """
    workers: int = 1
    """Processes that answer requests; each follows the models and publishes on its own."""
    wait_bound_s: float = 5.0
    """Longest wait of a request for the position or the freshness that it asks for; then 504."""
    max_rows: int = 4096
    """Most rows of one request; then 422."""
    asked_rows: int = 256
    """Rows of questions that came over Kafka which are answered together; 0: none are read from Kafka."""
    refresh_s: float = 0.1
    """Pause between two looks at landed epochs and promoted models."""
    load_retry_s: float = 5.0
    """Pause before a model that could not be loaded is tried again."""
    shadow_share: float = 0.2
    """Share of one core's time that candidates may take which are asked beside what serves;
    what is beyond it they are not asked.
    """
    look_every_s: float = 0.5
    """Pause between two looks at where the raw topics end: an answer's age is known to within this."""
    ends_age_ms: float = 50.0
    """How old the known ends of the raw topics may be when a request states `max_staleness_ms`; less when it asks for less."""
