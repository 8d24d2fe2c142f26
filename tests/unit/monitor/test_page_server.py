"""The page's server: listeners, what it sheds, and whose work a snapshot is."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from monitor_svc.adapters.asgi_page import MAX_LISTENERS, SLOTS
from monitor_svc.adapters.granian_page import PageServer
from monitor_svc.adapters.page_files import PAGE, POLICY
from monitor_svc.board import Board
from tests.unit.monitor.world import state
from twinstream.mesh.clock import ManualClock
from twinstream.mesh.door import ADMITTED


class Beats:
    """None, and not before `go`; counts who asked."""

    def __init__(self) -> None:
        self.asked, self.go = 0, threading.Event()
        self.go.set()

    def read(self) -> list[dict[str, object]]:
        self.asked += 1
        assert self.go.wait(20)
        return []


class Served:
    """A board behind its server."""

    def __init__(self) -> None:
        self.beats = Beats()
        self.board = Board(state(), self.beats, ManualClock(1))
        self.server = PageServer(self.board, "127.0.0.1", 0)

    def ask(self, path: str, method: str = "GET", **headers: str) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=20)
        connection.request(method, path, headers=headers)
        return connection.getresponse()

    def ask_aside(self, path: str, statuses: list[int]) -> threading.Thread:
        thread = threading.Thread(target=lambda: statuses.append(self.ask(path).status))
        thread.start()
        return thread


@pytest.fixture
def served() -> Iterator[Served]:
    made = Served()
    try:
        yield made
    finally:
        made.beats.go.set()
        made.server.close()


def wait(condition: Callable[[], object]) -> None:
    give_up = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < give_up
        threading.Event().wait(0.02)


def test_a_listener_gets_each_second_and_is_noticed_when_it_leaves(served: Served) -> None:
    answer = served.ask("/v1/stream")
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.readline() == b"retry: 2000\n"
    answer.readline()
    for second in (1, 2):
        served.board.announce(second, {"rate": 1.0})
        assert f'"second":{second}'.encode() in answer.readline()
        answer.readline()
    answer.close()
    wait(lambda: served.board.listen(0) == 0)


def test_nobody_listens_by_another_name_of_this_address(served: Served) -> None:
    assert served.ask("/v1/stream", Host="evil.example").status == 403
    assert served.board.listen(0) == 0


def test_a_listener_too_many_is_told_when_to_come_again(served: Served) -> None:
    listeners = [served.ask("/v1/stream") for _ in range(MAX_LISTENERS)]
    refused = served.ask("/v1/stream")
    assert (refused.status, refused.headers["retry-after"]) == (503, "5")
    listeners.pop().close()
    wait(lambda: served.board.listen(0) == MAX_LISTENERS - 1)
    assert served.ask("/v1/stream").status == 200
    for listener in listeners:
        listener.close()


def test_beyond_its_slots_it_sheds_and_health_is_answered(served: Served) -> None:
    served.beats.go.clear()
    statuses: list[int] = []
    threads = [served.ask_aside("/v1/state", statuses) for _ in range(ADMITTED * SLOTS + 5)]
    wait(lambda: statuses == [503] * 5)
    shed = served.ask("/v1/state")
    assert (shed.status, shed.headers["retry-after"]) == (503, "1")
    assert served.ask("/").status == 200
    assert served.ask("/livez").status == 200
    assert served.ask("/readyz").status in {200, 503}
    served.beats.go.set()
    for thread in threads:
        thread.join(20)
    assert sorted(statuses) == [200] * ADMITTED * SLOTS + [503] * 5


def test_those_who_wait_for_a_snapshot_share_one_that_was_begun_after_they_asked() -> None:
    beats = Beats()
    board, entered, shown = Board(state(), beats, ManualClock(1)), [], []

    def ask() -> None:
        entered.append(1)
        shown.append(board.whole())

    beats.go.clear()
    threads = [threading.Thread(target=ask) for _ in range(1 + SLOTS)]
    threads[0].start()
    wait(lambda: beats.asked == 1)
    for thread in threads[1:]:
        thread.start()
    wait(lambda: len(entered) == len(threads))
    beats.go.set()
    for thread in threads:
        thread.join(20)
    assert len(shown) == len(threads)
    assert 2 <= beats.asked <= SLOTS / 2


def test_a_port_that_is_taken_is_refused_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        PageServer(Board(state(), Beats(), ManualClock(1)), "127.0.0.1", taken.getsockname()[1])


def test_it_closes_with_listeners_and_gives_its_port_back(served: Served) -> None:
    listener = served.ask("/v1/stream")
    served.server.close()
    assert listener.read().startswith(b"retry: 2000\n\n")
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", served.server.port), timeout=5)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_files_of_the_page_are_served_whole(served: Served, method: str) -> None:
    for path in PAGE.rglob("*"):
        if path.is_file():
            name = f"/page/{path.relative_to(PAGE)}"
            names = ["/", name] if path.name == "index.html" else [name]
            for one in names:
                answer = served.ask(one, method=method)
                body = answer.read()
                assert (answer.status, body) == (200, path.read_bytes() if method == "GET" else b"")
                assert answer.headers["content-security-policy"] == POLICY
                assert int(answer.headers["content-length"]) == path.stat().st_size
    for odd in (
        "/page/../board.py",
        "/page/%2e%2e/board.py",
        "/page/",
        "/page/nothing.js",
        "/pagex",
    ):
        assert served.ask(odd).status == 404
