"""What the wiring needs from outside: where events and metrics go, and which processes live."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from schemas.events import Event


class Publisher(Protocol):
    """Publishes events to their topics."""

    def publish(
        self,
        event: Event,
        key: str | bytes | None = None,
        *,
        wait: bool = True,
    ) -> object: ...


class MetricSink(Protocol):
    """Takes this service's own metrics."""

    def count(self, name: str, n: float = 1, **labels: object) -> None: ...

    def gauge(self, name: str, value: float, unit: str = "", **labels: object) -> None: ...


class Beats(Protocol):
    """Signs of life of the processes on this host: name, pid, ready, lag, at_us each,
    and what blocks it or why it is not ready.
    """

    def read(self) -> Iterable[dict[str, Any]]: ...
