"""Serves the page by granian in a thread of this process, whose state it shows."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from collections.abc import Callable

import structlog
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server

from monitor_svc.adapters.asgi_page import Page
from monitor_svc.board import Board
from twinstream.mesh.door import hosts_of

LISTENING_WITHIN_S = 10.0


class PageServer:
    """Serves from its construction until `close`; `port` 0 takes a free one.
    Raises OSError for a port that is taken.
    """

    def __init__(
        self,
        board: Board,
        host: str,
        port: int,
        *,
        hosts: str = "",
        count: Callable[..., None] = lambda *_, **__: None,
    ) -> None:
        self.port = _free_port(host, port)
        self._page = Page(board, hosts_of(host, hosts), count)
        self._server, self._loop = _server(self._page, host, self.port), asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="page", daemon=True)
        self._thread.start()
        _wait_listening(host, self.port)

    def close(self) -> None:
        self._page.stopping = True
        self._loop.call_soon_threadsafe(self._server.stop)
        self._thread.join(timeout=2.0)

    def _run(self) -> None:
        """Ends the process when the server ends by itself: a monitor without a page is not
        alive.
        """
        try:
            self._loop.run_until_complete(self._server.serve())
        except BaseException:  # noqa: BLE001  the thread's one catch-all: it ends the process
            structlog.get_logger().exception("page_failed")
        if not self._page.stopping:
            os._exit(1)


def _server(
    page: Page,
    host: str,
    port: int,
) -> Server:
    return Server(
        page,
        address=host,
        port=port,
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        backlog=1024,
        http1_settings=HTTP1Settings(header_read_timeout=5_000),
        log_enabled=False,
        websockets=False,
    )


def _free_port(host: str, port: int) -> int:
    """Granian shares a port with whoever shares it too; nobody else may serve this one."""
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        tried.bind((host, port))
        return int(tried.getsockname()[1])


def _wait_listening(host: str, port: int) -> None:
    give_up = time.monotonic() + LISTENING_WITHIN_S
    while True:
        try:
            socket.create_connection((host, port), timeout=1.0).close()
        except OSError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.01)
        else:
            return
