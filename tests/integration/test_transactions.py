"""A client may use Kafka's transactions: their marks, which no message tells of,
keep no reader from an end.
"""

from __future__ import annotations

from uuid import uuid4

import pytest
from confluent_kafka import Consumer, Producer

from schemas.events import SealRequested, encode
from schemas.topics import dead_letter, topic_of
from twinstream.mesh import topics_admin
from twinstream.mesh.dead_letters import (
    MAX_CARRIED_BYTES,
    MAX_KEY_BYTES,
    MAX_ORIGINAL_BYTES,
    DeadLetters,
)
from twinstream.mesh.events import EventReader, cloud_headers
from twinstream.mesh.kafka.positions import range_of
from twinstream.mesh.kafka.spans import AT_ONCE, Span, messages
from twinstream.mesh.settings import MeshSettings

pytestmark = pytest.mark.engine
TOPIC = topic_of(SealRequested)


def request(settings: MeshSettings, reason: str, *, commit: bool) -> None:
    """A request in a transaction of its own."""
    producer = Producer(settings.kafka_client(transactional_id=uuid4().hex))
    producer.init_transactions(20)
    producer.begin_transaction()
    producer.produce(
        TOPIC, encode(SealRequested(reason=reason)), headers=cloud_headers("SealRequested", "/t")
    )
    producer.flush(10)
    (producer.commit_transaction if commit else producer.abort_transaction)(20)


def test_marks_of_transactions_keep_no_reader_from_the_end(mesh_settings: MeshSettings) -> None:
    topics_admin.ensure(mesh_settings)
    mine, taken_back = uuid4().hex, uuid4().hex
    request(mesh_settings, mine, commit=True)
    request(mesh_settings, taken_back, commit=False)
    with EventReader(mesh_settings, [TOPIC], refused=lambda *_: None) as reader:
        reasons = [e.reason for e, _ in reader.read_to_end(20) if isinstance(e, SealRequested)]
        assert reader.at_end()
    with EventReader(mesh_settings, [TOPIC]) as reader:
        assert len(list(reader.messages_to_end(20))) >= len(reasons)
    assert mine in reasons
    assert taken_back not in reasons


def test_a_span_that_ends_in_marks_is_read_to_its_end(mesh_settings: MeshSettings) -> None:
    topics_admin.ensure(mesh_settings)
    request(mesh_settings, uuid4().hex, commit=True)
    consumer = Consumer(mesh_settings.kafka_client(group_id=uuid4().hex) | AT_ONCE)
    span = Span(*range_of(consumer, TOPIC, 0, 10))
    found = [m.offset() for m in messages(consumer, {(TOPIC, 0): span}, 20)]
    consumer.close()
    assert found[-1] == span.end - 2  # behind it the mark


def test_no_key_and_no_headers_are_too_large_for_a_dead_letter(mesh_settings: MeshSettings) -> None:
    topics_admin.ensure(mesh_settings)
    own = uuid4().hex
    DeadLetters(mesh_settings, "ingest").put(
        bytes(MAX_ORIGINAL_BYTES),
        own,
        topic="t",
        partition=0,
        offset=7,
        key=bytes(MAX_KEY_BYTES + 1),
        carried=[("h" * 200, bytes(4000))] * 2000,
        uri="s3://" + "x" * 7_000_000,
    )
    with EventReader(mesh_settings, [dead_letter("ingest")]) as reader:
        found = [dict(m.headers()) for m in reader.messages_to_end(20)]
    headers = next(h for h in found if h["dead_letter_reason"] == own.encode())
    assert headers["dead_letter_key_bytes"] == str(MAX_KEY_BYTES + 1).encode()
    assert "dead_letter_key" not in headers
    assert int(headers["dead_letter_headers_left_out"]) >= 2000 - MAX_CARRIED_BYTES // 4200
