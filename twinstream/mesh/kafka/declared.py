"""Which topics this process may read and write: those that its `service.py` declares. Kafka's
clients ask here, so that the declaration cannot differ from what is done.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable


class UndeclaredTopicError(RuntimeError):
    """A process reads or writes a topic that its `service.py` does not name."""


_readable: Collection[str] | None = None
_writable: Collection[str] | None = None


def only(reads: Collection[str] | None, writes: Collection[str] | None) -> None:
    """From now on; None allows every topic, as for a command, which is no service."""
    global _readable, _writable
    _readable, _writable = reads, writes


def reading(topics: Iterable[str]) -> None:
    """Raises UndeclaredTopicError for a topic that is not to be read."""
    for topic in topics:
        if _readable is not None and topic not in _readable:
            raise UndeclaredTopicError(f"{topic} is read; name it in this process's service.py")


def writing(topic: str) -> None:
    """Raises UndeclaredTopicError for a topic that is not to be written."""
    if _writable is not None and topic not in _writable:
        raise UndeclaredTopicError(f"{topic} is written; name it in this process's service.py")
