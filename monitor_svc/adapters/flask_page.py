"""The page and its data over HTTP: Flask on the standard library's threaded WSGI server, in a thread of this process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from flask import Flask, Response, send_from_directory

from monitor_svc.board import Board
from twinstream.mesh.door import guarded, hosts_of

PAGE = Path(__file__).parents[1] / "page"
MAX_LISTENERS = 32
TICK_TIMEOUT_S = 5.0
POLICY = "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'"


def make_app(board: Board, stopping: threading.Event) -> Flask:
    """The WSGI app over a board."""
    app = Flask("monitor", static_folder=None)

    @app.get("/")
    def page() -> Response:
        return send_from_directory(PAGE, "index.html")

    @app.get("/page/<path:name>")
    def file(name: str) -> Response:
        return send_from_directory(PAGE, name)

    @app.get("/v1/state")
    def state() -> Response:
        return Response(board.whole(), mimetype="application/json")

    @app.get("/v1/stream")
    def stream() -> Response:
        if board.listen(+1) > MAX_LISTENERS:
            board.listen(-1)
            return Response(
                '{"error": "too many listeners: poll /v1/state instead"}',
                503,
                mimetype="application/json",
            )
        response = Response(_ticks(board, stopping), mimetype="text/event-stream")
        response.call_on_close(lambda: board.listen(-1))
        return response

    @app.get("/livez")
    def livez() -> Response:
        return Response('{"live": true}', mimetype="application/json")

    @app.get("/readyz")
    def readyz() -> Response:
        text = '{"ready": true}' if board.ready else '{"ready": false}'
        return Response(text, 200 if board.ready else 503, mimetype="application/json")

    @app.after_request
    def headers(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = POLICY
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers.setdefault("Cache-Control", "no-cache")
        return response

    return app


def _ticks(board: Board, stopping: threading.Event) -> Iterator[bytes]:
    """Server-sent events, one per second; a comment when nothing came, so that a gone listener is noticed."""
    number = 0
    yield b"retry: 2000\n\n"
    while not stopping.is_set():
        tick = board.next_tick(number, TICK_TIMEOUT_S)
        if tick is None:
            yield b": still here\n\n"
        else:
            number = tick[0]
            yield b"data: " + tick[1] + b"\n\n"


class _Server(ThreadingMixIn, WSGIServer):
    """A thread per connection; listeners end with the process."""

    daemon_threads = True
    request_queue_size = 64


class _Quiet(WSGIRequestHandler):
    """No line per request; a connection that sends nothing is closed."""

    timeout = 30

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Requests are not logged."""


class PageServer:
    """Serves until `close`; `port` 0 takes a free one."""

    def __init__(
        self,
        board: Board,
        host: str,
        port: int,
        *,
        hosts: str = "",
        count: Callable[..., None] = lambda *_, **__: None,
    ) -> None:
        self._stopping = threading.Event()
        app = make_app(board, self._stopping)
        app.wsgi_app = guarded(app.wsgi_app, hosts_of(host, hosts), count)  # type: ignore[method-assign]
        self._server = make_server(host, port, app, server_class=_Server, handler_class=_Quiet)
        self.port = self._server.server_port
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.2,), name="page", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        self._stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=2.0)
