"""Dead letters on a real broker and S3 server: byte for byte, whatever their size;
control messages that nobody can believe.
"""

from __future__ import annotations

from uuid import uuid4

import pytest
from confluent_kafka import Producer

from schemas.events import EVENT_TYPES, DataArrived, Event, SealRequested
from schemas.topics import dead_letter, topic_of
from tests.unit.mesh.fakes import Sinks
from twinstream.mesh import topics_admin
from twinstream.mesh.dead_letters import MAX_ORIGINAL_BYTES, DeadLetters
from twinstream.mesh.events import EventPublisher, EventReader
from twinstream.mesh.object_store import ObjectStore
from twinstream.mesh.quarantine import Quarantine
from twinstream.mesh.settings import MeshSettings

pytestmark = pytest.mark.engine


def test_large_original_lies_on_s3_and_its_dead_letter_names_it(
    mesh_settings: MeshSettings,
) -> None:
    topics_admin.ensure(mesh_settings)
    original, own = bytes(MAX_ORIGINAL_BYTES + 1), uuid4().hex
    DeadLetters(mesh_settings, "ingest").put(original, own, topic="t", partition=0, offset=7)
    with EventReader(mesh_settings, [dead_letter("ingest")]) as reader:
        message = next(
            m
            for m in iter(lambda: reader.poll_raw(10.0), None)
            if dict(m.headers())["dead_letter_reason"] == own.encode()
        )
    headers = dict(message.headers())
    assert (message.value(), headers["dead_letter_bytes"]) == (b"", str(len(original)).encode())
    assert ObjectStore(mesh_settings).get_uri(headers["dead_letter_uri"].decode()) == original


POISON = (
    (b"{", [("ce_type", b"SealRequested")]),
    (b"\xff\xfe\x00", [("ce_type", b"SealRequested")]),
    (b"[" * 100_000, [("ce_type", b"SealRequested")]),
    (b'{"reason": 1}', [("ce_type", b"SealRequested")]),
    (b'{"requested_at_us": 1700000000000000000}', [("ce_type", b"SealRequested")]),
    (b'{"source": "orders", "files": []}', [("ce_type", b"DataArrived")]),
    (b"{}", [("ce_type", b"\xff")]),
    (b"{}", []),
    (b"", []),
)


def test_what_nobody_can_believe_is_a_dead_letter_once_and_the_next_event_is_read(
    mesh_settings: MeshSettings,
) -> None:
    topics_admin.ensure(mesh_settings)
    topic, own = topic_of(SealRequested), uuid4().hex
    producer = Producer(mesh_settings.kafka_client())
    for value, headers in POISON:
        producer.produce(topic, value=value, headers=headers)
    producer.flush(10)
    EventPublisher(mesh_settings, "/test").publish(SealRequested(reason=own))
    sinks = Sinks()
    for _ in range(2):
        quarantine = Quarantine(mesh_settings, "test", sinks, sinks)
        with EventReader(mesh_settings, [topic], refused=quarantine.refuse) as reader:
            assert any(
                isinstance(event, SealRequested) and event.reason == own
                for event, _ in reader.read_to_end()
            )
    assert len(sinks.letters) >= len(POISON)
    assert len(sinks.letters) == len({reason for _, reason, _ in sinks.letters})


def test_every_event_that_we_publish_is_believed_by_its_reader(mesh_settings: MeshSettings) -> None:
    topics_admin.ensure(mesh_settings)
    event: Event = DataArrived(source="orders", files=[])
    assert type(event).__name__ in EVENT_TYPES
    place = EventPublisher(mesh_settings, "/test").publish(event)
    with EventReader(mesh_settings, [topic_of(event)]) as reader:
        assert place is not None
        assert any(
            message.offset() == place.offset and found == event
            for found, message in reader.read_to_end()
        )
