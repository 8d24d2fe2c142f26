"""What ingest's rules need of the world outside."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, Protocol

if TYPE_CHECKING:
    from ingest_svc.dedupe import RecentIds
    from ingest_svc.log_state import LogState
    from ingest_svc.log_writer import LogMessage, Raws
    from schemas.events import Event
    from schemas.packs import PackHeader


class Place(NamedTuple):
    """One partition of a source: of its raw topic and of its log alike."""

    source: str
    partition: int


class Confirmed(NamedTuple):
    """A log message that Kafka has, and where."""

    place: Place
    header: PackHeader
    offset: int


class RawRecords(Protocol):
    """The raw topics, as far as they are assigned to this worker."""

    def poll(self) -> Iterable[tuple[Place, Raws]]:
        """What came within a pack's time, in order; every call may open and close places."""

    def rewind(self, place: Place, offset: int) -> None:
        """Go on at `offset`."""

    def lag(self, place: Place, offset: int) -> int:
        """Records from `offset` to the end."""


class Log(Protocol):
    """The log of every source. A message that Kafka refuses raises PublishError in a later call."""

    def send(self, place: Place, message: LogMessage) -> None: ...

    def confirmed(self) -> list[Confirmed]:
        """What was confirmed since the last call, in order per place."""

    def flush(self) -> list[Confirmed]:
        """`confirmed`, once Kafka has everything that was sent."""


class Tails(Protocol):
    """The ends of topics."""

    def log(self, place: Place) -> tuple[LogState, RecentIds]: ...

    def dead_letters(self, place: Place, state: LogState) -> set[int]:
        """Raw offsets beyond the log that are dead-lettered already."""

    def raw_range(self, place: Place) -> tuple[int, int]:
        """First raw offset and the one after the last."""


class DeadLetterSink(Protocol):
    """Where what cannot be handled goes; see `twinstream.mesh.dead_letters`."""

    def put(
        self,
        original: bytes,
        reason: str,
        *,
        topic: str,
        partition: int,
        offset: int,
        wait: bool = True,
        carried: Sequence[tuple[str, bytes]] = (),
        key: bytes | None = None,
        **extra: Any,
    ) -> object: ...

    def flush(self) -> None: ...


class Events(Protocol):
    """Publishes events; see `twinstream.mesh.events`."""

    def publish(
        self,
        event: Event,
        key: str | bytes | None = None,
        *,
        wait: bool = True,
    ) -> object: ...


class SealRequests(Protocol):
    """What the batch layer asks for."""

    def poll(self) -> list[Event]:
        """Events since the last call, without waiting."""


class Meter(Protocol):
    """Run-time metrics; see `twinstream.mesh.metrics`."""

    def count(self, name: str, n: float = 1, **labels: object) -> None: ...

    def gauge(self, name: str, value: float, unit: str = "", **labels: object) -> None: ...

    def observe(self, name: str, value: float, unit: str = "", **labels: object) -> None: ...


class Head(Protocol):
    """What S3 says of an object; `version_id` is "" in a bucket without versions."""

    @property
    def size_bytes(self) -> int: ...
    @property
    def version_id(self) -> str: ...


class Objects(Protocol):
    """Objects on S3, read in parts so that their size does not matter.
    A missing one is an ObjectMissingError.
    """

    def head(self, uri: str, version_id: str) -> Head: ...

    def chunks(self, uri: str, version_id: str) -> Iterator[bytes]:
        """All bytes, in order."""

    def open(
        self,
        uri: str,
        version_id: str,
        size_bytes: int,
    ) -> BinaryIO:
        """A seekable file that reads ranges."""
