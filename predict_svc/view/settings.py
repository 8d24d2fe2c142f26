"""Knobs of the serving view."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from twinstream.mesh.knobs import Knobs


class ViewSettings(Knobs, frozen=True, kw_only=True):
    """Every knob; the environment variable of `flush_s` is `TWINSTREAM_VIEW_FLUSH_S`."""

    PREFIX: ClassVar[str] = "TWINSTREAM_VIEW_"
    ELSE: ClassVar[Mapping[str, str]] = {"instance": "TWINSTREAM_INSTANCE"}

    instance: str = "1"
    """Names this worker among the view workers of its host (default: TWINSTREAM_INSTANCE)."""
    flush_s: float = 0.001
    """For how long partials are collected before they are written, seconds."""
    flush_most_s: float = 0.1
    """For how long at most when writing takes long: larger writes cost less a key."""
    flush_bytes: int = 32_000_000
    """Partials of this size together are written at once, bytes."""
    map_gib: int = 64
    """Address space of one store: the most that the speed states of one view and partition can
    take, GiB.
    """
    spare_bytes: int = 33_554_432
    """Space that the disk must have left beside what a write may need, bytes."""
    fetch_wait_ms: int = 500
    """For how long the broker holds an empty fetch, milliseconds."""
    stall_s: int = 20
    """A worker that is behind and does not move for this many seconds ends."""
    base_retry_s: float = 5.0
    """Time between two attempts to fetch a base that could not be used, seconds."""
    first_base_s: float = 120.0
    """For how long an empty store waits for its base before it takes partials, seconds."""
    gap_report_s: float = 3.0
    """Time between two reports of the same break in a chain, seconds."""
    ready_lag: int = 2000
    """Partials that may be waiting while the view counts as ready."""
