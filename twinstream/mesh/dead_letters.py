"""Where what cannot be handled goes: the original bytes, with why and from where, in `<service>.dead-letter.v1`."""

from __future__ import annotations

from schemas.topics import dead_letter
from twinstream.mesh.events import EventPublisher, cloud_headers
from twinstream.mesh.settings import MeshSettings

MAX_REASON_CHARS = 2000


class DeadLetters:
    """Dead-letters messages of one service. The Kafka value is the original, byte for byte; all else is in the headers."""

    def __init__(self, settings: MeshSettings, service: str, publisher: EventPublisher | None = None) -> None:
        self._topic = dead_letter(service)
        self._source = f"/{service}"
        self._publisher = publisher or EventPublisher(settings, self._source)

    def put(
        self, original: bytes, reason: str, *, topic: str, partition: int, offset: int, wait: bool = True, **extra: object
    ) -> None:
        """Publish `original`; with `wait`, return when Kafka has it. `extra` becomes headers `x_<name>`."""
        headers = cloud_headers("DeadLettered", self._source, "application/octet-stream")
        facts = {"reason": reason[:MAX_REASON_CHARS], "topic": topic, "partition": partition, "offset": offset}
        headers += [(f"dead_letter_{name}", str(value).encode()) for name, value in facts.items()]
        headers += [(f"x_{name}", str(value).encode()) for name, value in extra.items()]
        self._publisher.publish_raw(self._topic, original, f"{topic}/{partition}", headers, wait=wait)

    def flush(self) -> None:
        """Return when Kafka has everything dead_letters so far."""
        self._publisher.flush()
