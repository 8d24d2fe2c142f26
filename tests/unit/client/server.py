"""A small real HTTP server that answers what a test says, and remembers what it was asked; and
one for a WSGI application.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec
from werkzeug.serving import make_server

Reply = tuple[int, dict[str, str], bytes]
BROKEN = -1
"""Status of a reply that never comes: the connection is closed when the request has been read."""


def reply(status: int, body: object, **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    data = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return status, named, data


class Asked(msgspec.Struct):
    method: str
    path: str
    body: bytes
    headers: dict[str, str]
    connection: tuple[str, int]


class Server:
    """Replies in order; the last one goes on."""

    def __init__(self) -> None:
        self.replies: list[Reply] = []
        self.asked: list[Asked] = []
        self.url = ""

    def take(self) -> Reply:
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


@contextmanager
def serving() -> Iterator[Server]:
    server = Server()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            server.asked.append(Asked(self.command, self.path, body, headers, self.client_address))
            status, named, data = server.take()
            if status == BROKEN:
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in {"content-length": str(len(data)), **named}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = answer

        def log_message(self, *_: Any) -> None: ...

    with _running(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as url:
        server.url = url
        yield server


@contextmanager
def serving_app(app: Any) -> Iterator[str]:
    """Base URL of a WSGI application."""
    with _running(make_server("127.0.0.1", 0, app, threaded=True)) as url:
        yield url


@contextmanager
def _running(server: Any) -> Iterator[str]:
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5.0)
