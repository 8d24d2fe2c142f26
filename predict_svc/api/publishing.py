"""How predictions become events: kept on this host's disk first, then on their way to Kafka."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from predict_svc.api.journal import Entry, Journal, Sent
from predict_svc.api.messages import NotReadyError
from schemas.events import PredictionServed, encode
from schemas.topics import topic_of
from twinstream.errors import MessageRefusedError
from twinstream.mesh.events import EventPublisher, cloud_headers
from twinstream.mesh.problems import Place
from twinstream.mesh.settings import MeshSettings

SOURCE = "/predict_svc/api"
LINGER_MS = 20
"""Events travel together: with 1 ms nearly each is a request of its own to the broker."""
TOPIC = topic_of(PredictionServed)
Keep = Callable[[Entry], Sent]
Publish = Callable[[PredictionServed], None]


def journal_folder(settings: MeshSettings) -> Path:
    """Where the predictors of this host keep what Kafka does not have yet."""
    return Path(settings.data) / "predictions"


def headers() -> list[tuple[str, bytes]]:
    """Of a message with a prediction's event."""
    return cloud_headers(PredictionServed.__name__, SOURCE)


def publisher_of(predictions: EventPublisher) -> Publish:
    """Publishes one; nobody waits for Kafka."""

    def publish(event: PredictionServed) -> None:
        predictions.publish_raw(TOPIC, encode(event), event.model, headers(), wait=False)

    return publish


def sender_of(predictions: EventPublisher) -> Callable[[Entry], object]:
    """Publishes an entry of a journal, and waits for Kafka."""
    return lambda entry: predictions.publish_raw(TOPIC, entry.value, entry.key, headers())


class Kept(NamedTuple):
    """An event that is in a file until `sent` is called, and the bytes that go to Kafka."""

    event: PredictionServed
    value: bytes
    sent: Sent


class Remembering:
    """Publishes events of answers that are given at once: each is in a file before its answer goes
    out, until Kafka has it. `most`: so many may wait for Kafka. Without `refuse` an event that can
    be kept no more is told to `lost`, and its answer is given.
    """

    def __init__(
        self,
        predictions: EventPublisher,
        journal: Journal,
        *,
        most: int,
        refuse: bool,
        lost: Callable[[int], None],
    ) -> None:
        self._predictions = predictions
        self._journal = journal
        self._most = most
        self._refuse = refuse
        self._lost = lost

    def room(self) -> bool:
        """Whether a question may be answered now."""
        return not self._refuse or self._fits()

    def __call__(self, event: PredictionServed) -> None:
        """Keep it and send it: raises as both."""
        kept = self.keep(event)
        if kept is not None:
            self.send(kept)

    def keep(self, event: PredictionServed) -> Kept | None:
        """The event in a file; None for one that is lost, as told. Raises NotReadyError when it
        cannot be kept.
        """
        if not self._refuse and not self._fits():
            self._lost(1)
            return None
        value = encode(event)
        return Kept(event, value, self._kept(Entry(event.model.encode(), value)))

    def send(self, kept: Kept) -> None:
        """On its way to Kafka; raises MessageRefusedError for one that is too large."""
        try:
            self._predictions.send(TOPIC, kept.value, kept.event.model, headers(), kept.sent)
        except MessageRefusedError:
            kept.sent()
            raise

    def _fits(self) -> bool:
        return len(self._predictions) < self._most

    def _kept(self, entry: Entry) -> Sent:
        try:
            return self._journal.keep(entry)
        except OSError as error:
            if not self._refuse:
                return lambda: None  # on its way to Kafka all the same
            raise NotReadyError(
                f"the prediction cannot be remembered on this host: {error.strerror}",
                Place(remedy="make room on the disk of the data folder"),
            ) from error
