"""Knobs of the speed layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from twinstream.mesh.knobs import Knobs


class SpeedSettings(Knobs, frozen=True, kw_only=True):
    """Every knob; the environment variable of `linger_s` is `TWINSTREAM_SPEED_LINGER_S`."""

    PREFIX: ClassVar[str] = "TWINSTREAM_SPEED_"
    ELSE: ClassVar[Mapping[str, str]] = {"instance": "TWINSTREAM_INSTANCE"}

    instance: str = "1"
    """Names this worker among the speed workers of its host (default: TWINSTREAM_INSTANCE)."""
    linger_s: float = 0.0
    """For how long a partial waits for others to be sent with it, seconds."""
    fetch_wait_ms: int = 500
    """For how long the broker holds an empty fetch, milliseconds."""
    stall_s: int = 20
    """A worker that is behind and does not move for this many seconds ends."""
    unconfirmed: int = 4000
    """Partials sent and not yet confirmed by Kafka; beyond, folding waits."""
    clock_skew_s: float = 600.0
    """By how much the clocks of hosts may differ: how far before a cut the scan of own partials
    begins, seconds.
    """
    resume_again_s: float = 5.0
    """Shortest time between two scans for a break that a view reported, seconds."""
