"""Events as CloudEvents 1.0 in Kafka's binary mode: attributes in the headers,
JSON in the value.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from schemas import events as ev
from schemas.plausible import refusal
from twinstream.errors import UndecodableEventError

Headers = Sequence[tuple[str, bytes]]


def cloud_headers(
    type_name: str,
    source: str,
    content_type: str = "application/json",
) -> list[tuple[str, bytes]]:
    """CloudEvents attributes of one event that happens now."""
    return [
        ("ce_specversion", b"1.0"),
        ("ce_id", uuid.uuid4().hex.encode()),
        ("ce_source", source.encode()),
        ("ce_type", type_name.encode()),
        ("ce_time", datetime.now(UTC).isoformat().encode()),
        ("content-type", content_type.encode()),
    ]


def headers_of(message: Any) -> Headers:
    """The headers of a message that confluent-kafka gave; none when the name of one is not UTF-8,
    which it cannot give.
    """
    try:
        return message.headers() or ()
    except UnicodeDecodeError:
        return ()


def event_of(message: Any) -> ev.Event:
    """The plausible event that a message carries; raises UndecodableEventError with the message as
    its attribute.
    """
    event = _decoded(message)
    if reason := refusal(event, message.topic(), time.time_ns() // 1000):
        raise UndecodableEventError(f"{where(message)} is not plausible: {reason}", message)
    return event


def _decoded(message: Any) -> ev.Event:
    headers = {name: value or b"" for name, value in headers_of(message)}
    type_name = headers.get("ce_type", b"").decode(errors="replace")
    try:
        return ev.decode(type_name, message.value() or b"")
    except (KeyError, ValueError, msgspec.MsgspecError, RecursionError) as cause:
        reason = f"{where(message)} is not a {type_name[:80] or 'named event'}: {cause}"
        raise UndecodableEventError(reason, message) from cause


def where(message: Any) -> str:
    """The place of a message, for people."""
    return f"{message.topic()}[{message.partition()}]@{message.offset()}"
