"""A publisher goes on after its producer has failed for good, and says of each message what became
of it.
"""

from __future__ import annotations

import pytest

from schemas.events import SealRequested
from schemas.topics import topic_of
from tests.unit.mesh.kafka.librdkafka import break_for_good
from twinstream.errors import MessageRefusedError
from twinstream.mesh.events import EventPublisher, Place
from twinstream.mesh.settings import MeshSettings

CLUSTER = MeshSettings(pipeline="none", kafka_options="test.mock.num.brokers=1")
NOWHERE = MeshSettings(pipeline="none", kafka="127.0.0.1:1", kafka_options="log_level=0")
TOPIC = topic_of(SealRequested)


def test_an_event_after_a_fatal_error_goes_through_a_new_producer() -> None:
    publisher = EventPublisher(CLUSTER, "/tests")
    publisher.publish(SealRequested())
    break_for_good(publisher._producer._now.client)
    place = publisher.publish(SealRequested())
    assert isinstance(place, Place)
    assert place.topic == TOPIC


def test_what_was_waiting_when_the_producer_failed_is_counted() -> None:
    lost: list[int] = []
    publisher = EventPublisher(NOWHERE, "/tests", lost=lost.append)
    for _ in range(3):
        publisher.publish(SealRequested(), wait=False)
    break_for_good(publisher._producer._now.client)
    publisher.publish(SealRequested(), wait=False)
    for _ in range(50):  # librdkafka counts what it has to tell, as of its errors, until it is told
        publisher._producer.poll(0.1)
        if len(publisher) == 1:
            break
    assert (sum(lost), len(publisher)) == (3, 1)


def test_what_finds_no_room_is_counted_and_nobody_waits() -> None:
    lost: list[int] = []
    publisher = EventPublisher(NOWHERE, "/tests", lost=lost.append, most_waiting=2)
    for _ in range(5):
        publisher.publish(SealRequested(), wait=False)
    assert (sum(lost), len(publisher)) == (3, 2)


@pytest.mark.parametrize("wait", [True, False])
def test_an_event_that_fits_no_message_is_refused_for_good(wait: bool) -> None:
    publisher = EventPublisher(CLUSTER, "/tests")
    with pytest.raises(MessageRefusedError, match=f"{TOPIC}: Kafka never takes a message of 9"):
        publisher.publish(SealRequested(reason="x" * 9_000_000), wait=wait)
    assert publisher.publish(SealRequested()) is not None
