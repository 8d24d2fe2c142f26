"""What the steps of the batch layer need of the world. Each port has an adapter in `engine.py` or
in the mesh, and a fake in the tests.
"""

from __future__ import annotations

from typing import Protocol

from preprocess_svc.batch.epochs.plan import Land
from preprocess_svc.batch.epochs.seen import Seen
from schemas.events import EpochSealed, Event, TrainingSetPublished, ViewPublished


class Reports(Protocol):
    """Who is told what happens within a step."""

    def observe(self, phase: str, seconds: float) -> None:
        """How long a phase took."""

    def base_lost(self, view: str, reason: str) -> None:
        """A base on S3 is gone or damaged, and its view is folded whole."""

    def alert(self, reason: str) -> None:
        """Something was given up."""


class Ports(Reports, Protocol):
    """What the loop needs of the world."""

    def poll(self, timeout_s: float) -> tuple[Event, int] | None:
        """The next event of the control topics, and its offset."""

    def at_end(self) -> bool:
        """Whether every event that there is now was returned by `poll`."""

    def publish(self, event: Event, key: str) -> None:
        """Returns when Kafka has it."""

    def land(self, step: Land, seen: Seen) -> list[ViewPublished]:
        """Manifests of some of the step's views, as they were decided for ever."""

    def questions_since(
        self,
        model: str,
        before: int,
        epoch: int,
    ) -> int:
        """How many rows the epochs after `before` up to `epoch` brought to the model's spine."""

    def train(self, model: str, manifest: ViewPublished) -> TrainingSetPublished | None: ...

    def settle_training(
        self, mine: TrainingSetPublished, seal: EpochSealed | None
    ) -> TrainingSetPublished:
        """The training set that counts: this one, or the one that another process decided on."""

    def tabulate(self, published: TrainingSetPublished) -> None:
        """Make the table of a training set that is published."""

    def retire(self, step: Land) -> None:
        """Delete what is not needed any more once the step's epoch is published."""


class Objects(Protocol):
    """What of an object store this package needs; keys of one bucket.

    `create` writes an object that is not there yet; False when there is another one.
    """

    def create(
        self,
        bucket: str,
        key: str,
        data: bytes,
    ) -> bool: ...

    def get(self, bucket: str, key: str) -> bytes: ...

    def put(
        self,
        bucket: str,
        key: str,
        data: bytes,
    ) -> str | None: ...

    def delete(self, bucket: str, key: str) -> None: ...

    def list(self, bucket: str, prefix: str = "") -> list[str]: ...
