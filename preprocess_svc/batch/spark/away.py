"""Tells an engine that does not answer from everything else that can fail."""

from __future__ import annotations

from twinstream.errors import TransientError

AWAY = (
    "StorageUnavailableError",
    "NotRunningError",
    "PublishError",
    "Connection refused",
    "UnknownHostException",
    "SdkClientException",
    "TTransportException",
    "org.apache.kafka.common.errors.TimeoutException",
    "NoBrokersAvailable",
    "SocketTimeoutException",
)


def is_away(error: Exception) -> bool:
    """Whether an engine does not answer: as our own kind, or as Spark tells it of a worker or of
    its own clients.
    """
    return isinstance(error, TransientError) or (
        type(error).__module__.split(".")[0] in {"py4j", "pyspark"}
        and any(word in str(error) for word in AWAY)
    )
