"""A Kafka message and the sinks of a quarantine, in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Message:
    """As confluent-kafka gives it."""

    data: bytes = b""
    at: int = 0
    of: str = "client.data-arrived.v1"
    head: list[tuple[str, bytes]] = field(default_factory=list)
    name: bytes | None = None

    def value(self) -> bytes:
        return self.data

    def key(self) -> bytes | None:
        return self.name

    def topic(self) -> str:
        return self.of

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return self.at

    def headers(self) -> list[tuple[str, bytes]]:
        return self.head


@dataclass
class Sinks:
    """Remembers dead letters and counts."""

    letters: list[tuple[str, str, str]] = field(default_factory=list)
    counted: dict[str, float] = field(default_factory=dict)

    def put_message(
        self, message: Any, reason: str, *, kind: str = "permanent", trace: str = "", **_: object
    ) -> None:
        self.letters.append((kind, reason, trace))

    def count(self, name: str, n: float = 1, **labels: object) -> None:
        series = f"{name}:{labels.get('kind', '')}"
        self.counted[series] = self.counted.get(series, 0) + n
