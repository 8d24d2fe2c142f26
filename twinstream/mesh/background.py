"""Work that a worker's event loop does beside handling; the process ends when it fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from twinstream.mesh.carrying import FAILED, end

_log = structlog.get_logger()


class Background:
    """Keeps what was begun from being collected."""

    def __init__(self) -> None:
        self._running: set[asyncio.Future[None]] = set()

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Have it done."""
        task = asyncio.ensure_future(work)
        self._running.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Future[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.error("seek_failed", reason=repr(task.exception()))
            end(FAILED)


def in_loop(loop: asyncio.AbstractEventLoop, function: Callable[..., None]) -> Callable[..., None]:
    """The function, called from another thread, runs in the event loop;
    the process ends when it fails, which a loop would only log.
    """

    def run(*arguments: Any) -> None:
        try:
            function(*arguments)
        except Exception:  # noqa: BLE001  half done it would leave the worker behind for good
            _log.exception("landing_failed")
            end(FAILED)

    def call(*arguments: Any) -> None:
        loop.call_soon_threadsafe(run, *arguments)

    return call
