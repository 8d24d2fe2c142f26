"""What librdkafka's errors mean: one list of those that pass by themselves, one translation into
our kinds.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from confluent_kafka import KafkaError, KafkaException

from twinstream.errors import (
    MessageRefusedError,
    NotRunningError,
    ProducerBrokenError,
    PublishError,
)

MESSAGE_BYTES = 8_000_000
"""The largest message that our clients send; the topics take a little more."""
_PASSING = frozenset(
    {
        KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001
        KafkaError._TRANSPORT,  # noqa: SLF001
        KafkaError._RESOLVE,  # noqa: SLF001
        KafkaError._TIMED_OUT,  # noqa: SLF001
        KafkaError._MAX_POLL_EXCEEDED,  # noqa: SLF001
        KafkaError._PARTITION_EOF,  # noqa: SLF001
    }
)
_REFUSED = frozenset(
    {
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.RECORD_LIST_TOO_LARGE,
        KafkaError.INVALID_TIMESTAMP,
        KafkaError.INVALID_RECORD,
    }
)


def passes(error: KafkaError) -> bool:
    """Whether the client that told of an error goes on by itself once a broker answers again."""
    return not error.fatal() and (error.retriable() or error.code() in _PASSING)


def is_end(error: KafkaError) -> bool:
    """Whether this is no error: the consumer stands at the end of a partition."""
    return error.code() == KafkaError._PARTITION_EOF  # noqa: SLF001


def is_fatal(error: KafkaError) -> bool:
    """Whether the client that told of an error takes nothing any more; some calls say so only by
    the code.
    """
    return error.fatal() or error.code() == KafkaError._FATAL  # noqa: SLF001


def unread(what: str, error: KafkaError) -> NotRunningError:
    """Of a question that Kafka did not answer; `what` names the topic and what was asked."""
    return NotRunningError(f"{what}: Kafka does not answer: {error.str()}")


def unsent(
    topic: str,
    error: KafkaError,
    size: int | None = None,
) -> Exception:
    """Of a message that was not taken: a MessageRefusedError when it never will be, a PublishError
    otherwise.
    """
    if error.code() in _REFUSED:
        known = "a message" if size is None else f"a message of {size} bytes"
        return MessageRefusedError(
            f"{topic}: Kafka never takes {known}: {error.str()}; send less in one message (at most "
            f"{MESSAGE_BYTES} bytes; a topic of your own needs max.message.bytes above that)"
        )
    if is_fatal(error):
        return ProducerBrokenError(f"{topic}: this producer sends no more: {error.str()}")
    return PublishError(f"{topic}: Kafka did not take a message: {error.str()}")


@contextmanager
def asking(what: str) -> Iterator[None]:
    """Around calls that ask Kafka: what it does not answer is a NotRunningError that names
    `what`.
    """
    try:
        yield
    except KafkaException as error:
        raise unread(what, error.args[0]) from error
    except TimeoutError as error:
        raise NotRunningError(f"{what}: Kafka did not answer in time") from error
