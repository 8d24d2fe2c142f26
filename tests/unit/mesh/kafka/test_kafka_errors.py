"""One list of errors that pass, one translation of those that do not."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, KafkaException

from twinstream.errors import (
    MessageRefusedError,
    NotRunningError,
    PermanentError,
    ProducerBrokenError,
    PublishError,
    TransientError,
)
from twinstream.mesh.kafka.errors import asking, is_end, passes, unsent


@pytest.mark.parametrize(
    ("code", "passing"),
    [
        (KafkaError._ALL_BROKERS_DOWN, True),
        (KafkaError._TRANSPORT, True),
        (KafkaError._TIMED_OUT, True),
        (KafkaError._PARTITION_EOF, True),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, False),
        (KafkaError.OFFSET_OUT_OF_RANGE, False),
    ],
)
def test_what_the_client_mends_by_itself_passes(code: int, passing: bool) -> None:
    assert passes(KafkaError(code)) is passing
    assert not passes(KafkaError(code, "broken", fatal=True))


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (KafkaError(KafkaError.MSG_SIZE_TOO_LARGE), MessageRefusedError),
        (KafkaError(KafkaError.INVALID_TIMESTAMP), MessageRefusedError),
        (KafkaError(KafkaError._FATAL), ProducerBrokenError),
        (KafkaError(KafkaError.INVALID_PRODUCER_EPOCH, "fenced", fatal=True), ProducerBrokenError),
        (KafkaError(KafkaError._MSG_TIMED_OUT), PublishError),
        (KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED), PublishError),
    ],
)
def test_what_is_not_sent_has_a_kind(error: KafkaError, kind: type[Exception]) -> None:
    found = unsent("some-topic", error, 5)
    assert type(found) is kind
    assert isinstance(found, PermanentError) != isinstance(found, TransientError)
    assert str(found).startswith("some-topic: ")


def test_what_is_not_answered_names_what_was_asked() -> None:
    with pytest.raises(NotRunningError, match=r"log\[3\]: Kafka does not answer"), asking("log[3]"):
        raise KafkaException(KafkaError(KafkaError._TRANSPORT))


def test_the_end_of_a_partition_is_no_error() -> None:
    assert is_end(KafkaError(KafkaError._PARTITION_EOF))
    assert not is_end(KafkaError(KafkaError._TRANSPORT))
