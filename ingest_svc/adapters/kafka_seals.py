"""The port `SealRequests` over Kafka: everything that was ever asked for, from the beginning."""

from __future__ import annotations

from functools import cached_property

from schemas.events import EpochSealed, EpochSealRequested, Event
from schemas.topics import topic_of
from twinstream.mesh.events import EventReader, Refused, pass_over
from twinstream.mesh.settings import MeshSettings
from twinstream.protocol.epoch_order import EpochOrder


class KafkaSeals:
    """Reads seal requests; one that asks for an epoch far beyond the last sealed one is refused,
    and so is what is no request.
    """

    def __init__(self, settings: MeshSettings, refused: Refused) -> None:
        self._settings, self._order = settings, EpochOrder()
        self._reader = EventReader(
            settings, [topic_of(EpochSealRequested)], refused=refused, check=self._unlikely
        )

    def poll(self) -> list[Event]:
        """Requests that came since the last call."""
        found: list[Event] = []
        while (event := self._reader.poll(0)) is not None:
            found.append(event[0])
        return found

    def close(self) -> None:
        self._reader.close()

    def _unlikely(self, event: Event) -> str:
        """Why an epoch cannot be the next to end; what is sealed by now is looked up only where
        that decides.
        """
        if not isinstance(event, EpochSealRequested) or event.epoch <= self._order.newest + 1:
            return ""
        for sealed, _ in self._sealed.read_to_end():
            if isinstance(sealed, EpochSealed):
                self._order.refusal(sealed.epoch)
        return (
            ""
            if event.epoch <= self._order.newest + 1
            else f"epoch {event.epoch} does not follow epoch {self._order.newest}, the last sealed"
        )

    @cached_property
    def _sealed(self) -> EventReader:
        """Ends of epochs from the first on: their topic is kept for ever."""
        return EventReader(self._settings, [topic_of(EpochSealed)], refused=pass_over)
