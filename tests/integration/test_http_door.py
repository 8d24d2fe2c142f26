"""The door on the real server, asked by raw sockets: slow, broken and many clients;
health is answered meanwhile.
"""

from __future__ import annotations

import http.client
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.ports import any_free
from tests.e2e.overload import Door, overload
from twinstream.mesh.problems import RETRY_AFTER_S

pytestmark = pytest.mark.engine
THREADS, SLOTS = 6, 3
MOST_GROWN_MB = 100.0
PROGRAM = f"""
import sys
from flask import Flask, request
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server import Server
from twinstream.mesh.door import Door, DoorSettings, hosts_of

def make():
    app = Flask("toy")
    app.post("/v1/echo", endpoint="echo")(lambda: str(len(request.get_data())))
    app.post("/v1/work", endpoint="work")(lambda: str(sum(range(100_000))))
    app.get("/livez", endpoint="livez")(lambda: "live")
    app.get("/readyz", endpoint="readyz")(lambda: "ready")
    return Door(app, DoorSettings(hosts=hosts_of("127.0.0.1", ""), body_bytes=100_000, body_s=3.0, slots={SLOTS}), lambda *_, **__: None)

if __name__ == "__main__":
    Server("toy:make", factory=True, address="127.0.0.1", port=int(sys.argv[1]), interface=Interfaces.ASGINL, http=HTTPModes.http1, workers=1,
           http1_settings=HTTP1Settings(header_read_timeout=2000), log_enabled=False, websockets=False, workers_kill_timeout=2).serve()
"""


class Toy:
    """A server of its own process."""

    def __init__(self, port: int, pid: int) -> None:
        self.port, self.pid = port, pid

    def ask(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def open(self, head: bytes) -> socket.socket:
        """A connection on which so much was sent."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        connection.sendall(head)
        return connection

    def lives(self) -> bool:
        try:
            return self.ask("GET", "/livez")[0] == 200
        except OSError:
            return False


@pytest.fixture
def toy(tmp_path: Path) -> Iterator[Toy]:
    (tmp_path / "toy.py").write_text(PROGRAM)
    port = any_free(set())
    root = str(Path(__file__).parents[2])
    process = subprocess.Popen(
        [sys.executable, "toy.py", str(port)],
        cwd=tmp_path,
        env={"PYTHONPATH": f"{root}:{tmp_path}", "PATH": "/usr/bin:/bin"},
    )
    made = Toy(port, process.pid)
    try:
        _until(made.lives, 30)
        yield made
    finally:
        process.terminate()
        process.wait(10)


SLOW = b"POST /v1/echo HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 50\r\n\r\nab"


def test_slow_bodies_cost_neither_health_nor_for_long_others(toy: Toy) -> None:
    slow = [toy.open(SLOW) for _ in range(4 * THREADS)]
    assert toy.lives()
    _until(lambda: toy.ask("POST", "/v1/echo", b"x" * 9) == (200, b"9"), 30)
    answers = {connection.recv(100).split(b" ")[1] for connection in slow}
    assert answers <= {b"408", b"503"}
    for connection in slow:
        connection.close()


def test_slow_headers_and_clients_that_leave_cost_nothing(toy: Toy) -> None:
    idle = [toy.open(b"POST /v1/echo HT") for _ in range(4 * THREADS)]
    for _ in range(4 * THREADS):
        toy.open(SLOW).close()
    assert toy.lives()
    _until(lambda: toy.ask("POST", "/v1/echo", b"x") == (200, b"1"), 30)
    for connection in idle:
        connection.close()


def test_a_chunked_body_beyond_the_limit_is_refused_whole(toy: Toy) -> None:
    chunk = b"4000\r\n" + b"x" * 0x4000 + b"\r\n"
    small = toy.open(
        b"POST /v1/echo HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        + chunk * 3
        + b"0\r\n\r\n"
    )
    assert small.recv(2000).split(b" ")[1] == b"200"
    large = toy.open(
        b"POST /v1/echo HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        + chunk * 7
    )
    assert large.recv(2000).split(b" ")[1] == b"413"
    for connection in (small, large):
        connection.close()


def test_many_at_a_time_are_answered_or_told_when_to_come_again(toy: Toy) -> None:
    statuses: list[int] = []
    threads = [
        threading.Thread(
            target=lambda: statuses.extend(
                toy.ask("POST", "/v1/echo", b"x" * 1000)[0] for _ in range(20)
            )
        )
        for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    assert toy.lives()
    for thread in threads:
        thread.join(60)
    assert set(statuses) <= {200, 503}
    assert statuses.count(200) > 0
    assert RETRY_AFTER_S > 0


def test_twice_what_it_answers_is_answered_or_shed_while_health_goes_on(toy: Toy) -> None:
    address = f"http://127.0.0.1:{toy.port}"
    found = overload(Door(address, lambda _: ("POST /v1/work", b"x" * 100), toy.pid), 5.0)
    assert found.wrong == set()
    assert found.statuses[200] > 0
    assert found.statuses[503] > 0
    assert {status for _, status in found.health} == {200}
    assert found.grown_mb < MOST_GROWN_MB


def _until(reached: object, bound_s: float) -> None:
    give_up = time.monotonic() + bound_s
    while not reached():  # type: ignore[operator]
        assert time.monotonic() < give_up
        threading.Event().wait(0.05)
