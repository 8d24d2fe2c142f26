"""What an audit says of a predictor that does not give the states, in a process of its own as
well.
"""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from deploy.local.ports import HOST, any_free
from twinstream.audit.compare import fetch
from twinstream.errors import NotRunningError


class Unready(BaseHTTPRequestHandler):
    """Answers as a predictor whose view is being built."""

    def do_GET(self) -> None:
        self.send_response(503)
        self.end_headers()
        self.wfile.write(b'{"error": "the view is being built"}')

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def unready() -> Iterator[str]:
    server = HTTPServer((HOST, 0), Unready)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://{HOST}:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_refusal_is_told_with_its_reason_also_from_another_process(unready: str) -> None:
    with (
        ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool,
        pytest.raises(NotRunningError, match="being built"),
    ):
        pool.submit(fetch, unready, "by-shopper", 0).result()


def test_nobody_at_the_address_is_told() -> None:
    with pytest.raises(NotRunningError, match="does not answer"):
        fetch(f"http://{HOST}:{any_free(set())}", "by-shopper", 0)
