"""The page as an ASGI application: the door of every HTTP service, and beside it the stream of
seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from monitor_svc.adapters.flask_page import make_app
from monitor_svc.adapters.page_files import page_lanes
from monitor_svc.board import Board
from twinstream.mesh.door import (
    Door,
    DoorSettings,
    Receive,
    Send,
    check,
    headers_of,
)
from twinstream.mesh.problems import RefusedError

STREAM = "/v1/stream"
MAX_LISTENERS = 32
LOOK_EVERY_S = 0.25
COMMENT_EVERY = 20
SLOTS = 16
"""Requests at work at a time: what two browsers ask for at once when they open the page."""
BODY_BYTES = 10_000
STREAM_HEADERS = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache"),
    (b"x-content-type-options", b"nosniff"),
]


class Page:
    """Listeners hold no thread: each is a coroutine, until it leaves or `stopping` is set."""

    def __init__(
        self,
        board: Board,
        hosts: tuple[str, ...],
        count: Callable[..., None],
    ) -> None:
        self._board, self._hosts, self.stopping = board, hosts, False
        settings = DoorSettings(hosts=hosts, body_bytes=BODY_BYTES, slots=SLOTS)
        self._door = Door(make_app(board).wsgi_app, settings, count, reads=page_lanes())

    async def __call__(
        self,
        scope: dict[str, Any],
        receive: Receive,
        send: Send,
    ) -> None:
        """A listener for whom there is room, or a request for the door."""
        if not self._may_listen(scope):
            await self._door(scope, receive, send)
            return
        self._board.listen(+1)
        try:
            await self._serve_listener(receive, send)
        finally:
            self._board.listen(-1)

    def _may_listen(self, scope: dict[str, Any]) -> bool:
        """The door says why to those who may not."""
        if scope["type"] != "http" or (scope["method"], scope["path"]) != ("GET", STREAM):
            return False
        try:
            check(scope["method"], headers_of(scope), self._hosts)
        except RefusedError:
            return False
        return self._board.listen(0) < MAX_LISTENERS

    async def _serve_listener(self, receive: Receive, send: Send) -> None:
        gone = asyncio.create_task(_until_gone(receive))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": STREAM_HEADERS})
            async for part in self._parts(gone):
                await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            gone.cancel()

    async def _parts(self, gone: asyncio.Task[None]) -> AsyncIterator[bytes]:
        """Server-sent events, one per second; a comment when nothing came for a while."""
        number, quiet = 0, 0
        yield b"retry: 2000\n\n"
        while not self.stopping and not gone.done():
            tick = self._board.next_tick(number, 0.0)
            quiet = 0 if tick else quiet + 1
            if tick:
                number = tick[0]
                yield b"data: " + tick[1] + b"\n\n"
            elif quiet % COMMENT_EVERY == 0:
                yield b": still here\n\n"
            await asyncio.wait((gone,), timeout=LOOK_EVERY_S)


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
