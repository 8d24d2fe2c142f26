"""A reader passes over what cannot be believed only when a dead letter has been made of it."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.events import SealRequested
from schemas.topics import topic_of
from tests.unit.mesh.fakes import Message
from twinstream.errors import PublishError
from twinstream.mesh.kafka import reader as of_reader
from twinstream.mesh.kafka.reader import EventReader, patient
from twinstream.mesh.settings import MeshSettings

TOPIC = topic_of(SealRequested)


class Read(Message):
    def error(self) -> None:
        return None


class Partition:
    """A consumer of one partition."""

    def __init__(self, *_: Any) -> None:
        head = [("ce_type", b"SealRequested")]
        values = (b"no JSON", b"{}")
        self.messages = [Read(v, at, TOPIC, head) for at, v in enumerate(values)]
        self.at = 0

    def poll(self, _timeout: float) -> Read | None:
        self.at += 1
        return self.messages[self.at - 1] if self.at <= len(self.messages) else None

    def seek(self, place: Any) -> None:
        self.at = place.offset

    def subscribe(self, _topics: list[str]) -> None: ...


def test_a_message_that_cannot_be_dead_lettered_now_is_read_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(of_reader, "Consumer", Partition)
    monkeypatch.setattr(of_reader, "PAUSE_S", 0.0)
    refused: list[int] = []

    def refuse(message: Any, _reason: str) -> None:
        refused.append(message.offset())
        if len(refused) < 3:
            raise PublishError("Kafka does not take it")

    reader = EventReader(MeshSettings(pipeline="none"), [TOPIC], "group", refused=refuse)
    with pytest.raises(PublishError):
        reader.poll()
    event, message = next(patient(reader))
    assert (event, message.offset()) == (SealRequested(), 1)
    assert refused == [0, 0, 0]
