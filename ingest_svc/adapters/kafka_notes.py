"""What librdkafka's clients say of themselves, in our log."""

from __future__ import annotations

import structlog
from confluent_kafka import KafkaError

CRITICAL = 2
"""Of syslog; the client's own lines below it are left out, for they repeat each attempt to
connect.
"""


def note(error: KafkaError) -> None:
    """The client reconnects by itself; a fatal error is raised where the client is used."""
    structlog.get_logger().warning("kafka_client_error", reason=error.str(), fatal=error.fatal())
