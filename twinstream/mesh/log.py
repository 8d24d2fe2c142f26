"""Set-up of structlog: coloured lines on a terminal, JSON lines elsewhere."""

from __future__ import annotations

import logging
import sys
from typing import Any, TextIO, cast

import structlog
from structlog.typing import EventDict, Processor


class Forgiving:
    """A text stream whose writes never raise: a full disk must not end a process that only wants to say something."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write it, or lose it."""
        try:
            return self._stream.write(text)
        except (OSError, ValueError):
            return len(text)

    def flush(self) -> None:
        """Flush it, or lose it."""
        try:
            self._stream.flush()
        except (OSError, ValueError):
            return

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def configure(service: str, level: str = "info") -> structlog.stdlib.BoundLogger:
    """Set up this process's log, with `service` in every line; libraries' own logs of WARNING and
    above join it.
    """
    structlog.configure(
        processors=_processors(service, terminal=sys.stderr.isatty()),
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", Forgiving(sys.stderr))),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(
        level=logging.WARNING,
        stream=sys.stderr,
        format="%(asctime)s %(name)s %(levelname)s %(message)s",
    )
    return structlog.get_logger()


def _processors(service: str, *, terminal: bool) -> list[Processor]:
    last: list[Processor] = (
        [structlog.dev.ConsoleRenderer()]
        if terminal
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    return [
        structlog.contextvars.merge_contextvars,
        _named(service),
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        *last,
    ]


def _named(service: str) -> Processor:
    """Puts the service's name in every line, in every thread: each has context variables of its
    own.
    """

    def named(
        _: object,
        __: str,
        event: EventDict,
    ) -> EventDict:
        return {"service": service, **event}

    return named
