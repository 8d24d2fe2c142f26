"""librdkafka as it is, with the cluster that it brings along for tests: no broker, no network."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import confluent_kafka

MOCK = {"bootstrap.servers": "unused", "test.mock.num.brokers": 1}
OUT_OF_ORDER = 45
_AFTER_OBJECT_HEAD = 16
"""Where a confluent-kafka client holds its librdkafka handle: behind the reference count and the
type.
"""


def break_for_good(client: Any) -> None:
    """Bring a client into the state after a fatal error, by the call that librdkafka has for
    this.
    """
    (path,) = (Path(confluent_kafka.__file__).parents[1] / "confluent_kafka.libs").glob(
        "librdkafka*"
    )
    library = ctypes.CDLL(str(path))
    library.rd_kafka_test_fatal_error.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p]
    handle = ctypes.c_void_p.from_address(id(client) + _AFTER_OBJECT_HEAD)
    library.rd_kafka_test_fatal_error(handle, OUT_OF_ORDER, b"out of order")
