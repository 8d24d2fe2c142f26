"""The port behind which an engine carries messages to a worker: assignment, fetching and sending
are its; where to read from and what was done are the worker's. Nothing is committed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import NamedTuple, Protocol

import msgspec


class TopicPartition(NamedTuple):
    """One partition of a topic; equal to any other tuple of the two."""

    topic: str
    partition: int


class CarriedMessage(Protocol):
    """One message of a partition."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def value(self) -> bytes: ...


class Carried(Protocol):
    """What a worker makes of the topics that it reads. All is called in the worker's event loop."""

    async def start_offsets(self, partitions: set[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Where to read each partition of a new assignment from; called again at will, also for
        partitions being read. A partition that is not in the answer is sought later.
        """

    async def handle(self, message: CarriedMessage) -> None:
        """Take one message. Those of a partition come in order from where it was sought, one at a
        time over all partitions; some may come twice, or ahead of what was asked for.

        When it raises, the process ends: nothing is handed over after what was not handled.
        """

    def next_offsets(self) -> Mapping[TopicPartition, int]:
        """The offset of the next message to be handled, for every partition being read."""


class Carrier(Protocol):
    """What carries. It belongs to one event loop, in which `start` was called."""

    @property
    def options(self) -> WorkerOptions: ...

    @property
    def carried(self) -> Carried: ...

    @property
    def unconfirmed(self) -> int:
        """Messages sent that Kafka has not said to have."""

    @property
    def confirmed(self) -> int:
        """Messages sent that it has."""

    async def start(self) -> None:
        """Join the group and read; returns soon."""

    def ended(self) -> str:
        """Why it carries no more; "" while it does."""

    async def seek(self, positions: Mapping[TopicPartition, int]) -> None:
        """Read on from here; messages under way may still be handed over before those from here."""

    async def send(
        self,
        topic: str,
        partition: int,
        value: bytes,
    ) -> Awaitable[object]:
        """Enqueue in order; await the answer to know that Kafka has it.

        Raises MessageRefusedError for what is too large. When Kafka does not take one that was
        enqueued, the process ends.
        """

    async def earliest_offsets(self, *places: TopicPartition) -> dict[TopicPartition, int]:
        """The first offset that each partition still holds."""

    def highwater(self, place: TopicPartition) -> int | None:
        """The offset after the last, as far as it was heard; None before it was."""


class WorkerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How one worker reads and sends."""

    name: str
    topics: tuple[str, ...]
    instance: str = "1"
    """Names this worker among those of its kind on this host: a restarted one takes its partitions
    back at once.
    """
    linger_s: float = 0.003
    """For how long a send waits for others to go with it."""
    fetch_wait_ms: int = 500
    """For how long the broker holds an empty fetch."""
    stall_s: int = 20
    """A worker that is behind and does not move for this long ends."""
    buffered: int = 512
    """Messages taken from Kafka and not yet handled."""
