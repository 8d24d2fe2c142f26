"""Who gets through the door of an HTTP service, and with what."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from twinstream.mesh.door import (
    ADMITTED,
    Answer,
    Door,
    DoorSettings,
    hosts_of,
)
from twinstream.mesh.loop_lag import FEW_WAITING, MOST_READING_S

SETTINGS = DoorSettings(
    hosts=hosts_of("127.0.0.1", "shop.example"), body_bytes=100, body_s=0.2, slots=2
)


class App:
    """Echoes bodies; remembers nothing else."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        self.asked += 1
        start_response("200 OK", [])
        return [environ["wsgi.input"].read()]


class Client:
    """Asks a door as a server would: `parts` of a body come one by one;
    None stands for a client that sends nothing more.
    """

    def __init__(self, app: Any = None) -> None:
        self.app = app or App()
        self.counted = 0
        self.door = Door(self.app, SETTINGS, self._count)

    def _count(self, *_: object, **__: object) -> None:
        self.counted += 1

    def ask(
        self,
        method: str = "POST",
        path: str = "/v1/x",
        parts: tuple[bytes | None, ...] = (b"x",),
        **headers: str,
    ) -> tuple[int, bytes, dict[str, str]]:
        return asyncio.run(self.asked(method, path, parts, **headers))

    async def asked(
        self,
        method: str = "POST",
        path: str = "/v1/x",
        parts: tuple[bytes | None, ...] = (b"x",),
        **headers: str,
    ) -> tuple[int, bytes, dict[str, str]]:
        said: list[dict[str, Any]] = []
        left = list(parts)

        async def receive() -> dict[str, Any]:
            part = left.pop(0) if left else b""
            if part is None:
                await asyncio.sleep(3600)
            return {"type": "http.request", "body": part, "more_body": bool(left)}

        async def send(event: dict[str, Any]) -> None:
            said.append(event)

        head = {
            "host": "127.0.0.1:80",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "headers": [(n.encode(), v.encode("latin-1", "replace")) for n, v in head.items()],
        }
        await self.door(scope, receive, send)
        return (
            said[0]["status"],
            said[1]["body"],
            {name.decode(): value.decode() for name, value in said[0]["headers"]},
        )


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8082", "localhost", "[::1]:80", "shop.example", "SHOP.example:443", ""]
)
def test_a_service_is_asked_by_its_own_names(host: str) -> None:
    assert Client().ask(host=host)[0] == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil:80", "10.0.0.1"]
)
def test_another_name_of_the_same_address_is_refused(host: str) -> None:
    client = Client()
    assert client.ask("GET", host=host)[0] == 403
    assert client.ask("GET", "/readyz", host=host)[0] == 403
    assert client.app.asked == 0


@pytest.mark.parametrize(
    "headers",
    [{"origin": "http://evil.example"}, {"origin": "null"}, {"sec_fetch_site": "cross-site"}],
)
def test_a_page_of_another_site_changes_nothing(headers: dict[str, str]) -> None:
    client = Client()
    assert client.ask(**headers)[0] == 403
    assert client.app.asked == 0
    assert client.ask(origin="http://127.0.0.1:80")[0] == 200


@pytest.mark.parametrize(
    ("length", "status"), [("101", 413), ("-1", 400), ("\xb2", 400), ("1e3", 400), ("9" * 400, 413)]
)
def test_a_length_that_is_too_large_or_none_is_refused_unread(length: str, status: int) -> None:
    client = Client()
    assert client.ask(content_length=length)[0] == status
    assert client.app.asked == 0


def test_a_body_is_taken_whole_or_not_at_all() -> None:
    client = Client()
    assert client.ask(parts=(b"x" * 60, b"y" * 40), content_length="100")[:2] == (
        200,
        b"x" * 60 + b"y" * 40,
    )
    assert client.ask(parts=(b"x" * 10,), content_length="11")[0] == 400
    assert client.ask(parts=(b"x" * 50, b"x" * 50), transfer_encoding="chunked")[0] == 200
    assert client.ask(parts=(b"x" * 50, b"x" * 51, b"never"), transfer_encoding="chunked")[0] == 413
    assert client.app.asked == 2


def test_a_slow_body_is_given_up_after_the_bound_and_holds_no_thread() -> None:
    client = Client()

    async def story() -> list[int]:
        slow = [
            asyncio.create_task(client.asked(parts=(b"a", None))) for _ in range(3 * SETTINGS.slots)
        ]
        await asyncio.sleep(0)
        others = [(await client.asked())[0] for _ in range(3)]
        return [*others, *[(await task)[0] for task in slow]]

    assert asyncio.run(story()) == [200] * 3 + [408] * 3 * SETTINGS.slots


def test_beyond_its_slots_requests_are_shed_at_once_and_health_is_answered() -> None:
    inside, go = threading.Semaphore(0), threading.Event()

    class Busy(App):
        def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
            if environ["PATH_INFO"] == "/v1/x":
                inside.release()
                go.wait(10)
            return super().__call__(environ, start_response)

    client = Client(Busy())

    async def story() -> tuple[int, str, int, list[int], int]:
        busy = [asyncio.create_task(client.asked()) for _ in range(ADMITTED * SETTINGS.slots)]
        for _ in range(SETTINGS.slots):
            await asyncio.to_thread(inside.acquire, timeout=10)
        status, _, headers = await client.asked()
        health = (await client.asked("GET", "/livez"))[0]
        go.set()
        return (
            status,
            headers["retry-after"],
            health,
            [(await task)[0] for task in busy],
            (await client.asked())[0],
        )

    assert asyncio.run(story()) == (503, "1", 200, [200] * ADMITTED * SETTINGS.slots, 200)


def test_an_application_that_raises_is_an_answer() -> None:
    def broken(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        raise KeyError("surprise")

    status, body, _ = Client(broken).ask()
    assert (status, b"surprise" in body) == (500, False)


def test_names_of_an_address_that_is_not_loopback_come_from_the_setting() -> None:
    assert hosts_of("0.0.0.0", "") == ("*",)
    assert hosts_of("0.0.0.0", "a.example, B.example") == ("a.example", "b.example")


class Laned(Client):
    """A door with a lane below /fast/: it answers `now` and `soon` in the loop, everything else in
    a worker.
    """

    def __init__(self) -> None:
        super().__init__()
        self.threads: list[str] = []
        self.door = Door(
            self.app, SETTINGS, self._count, {"/fast/": self.lane}, {"/known/": self.known}
        )

    def late(self, seconds: float) -> None:
        """Let the loop be so late at every look."""
        lag = self.door._lag
        lag.watch = lambda: None
        lag.now = lambda: seconds

    def known(self, rest: str, query: bytes, headers: dict[bytes, bytes]) -> Answer | None:
        return None if rest == "unknown" else Answer(200, [], rest.encode() + b" " + query)

    def lane(self, rest: str, body: bytes) -> Any:
        answer = Answer(200, [], rest.encode() + b" " + body)

        def late() -> Answer:
            self.threads.append(threading.current_thread().name)
            return answer

        if rest == "soon":
            soon: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
            soon.get_loop().call_soon(soon.set_result, answer)
            return soon
        return answer if rest == "now" else late


def test_a_lane_answers_what_is_posted_below_its_prefix() -> None:
    client = Laned()
    assert client.ask(path="/fast/now")[:2] == (200, b"now x")
    assert client.ask(path="/fast/soon")[:2] == (200, b"soon x")
    assert client.ask(path="/fast/late", parts=(b"a", b"b"))[:2] == (200, b"late ab")
    assert [name.startswith("answer") for name in client.threads] == [True]
    assert client.app.asked == 0


def test_a_lane_answers_what_is_read_below_its_prefix() -> None:
    client = Laned()
    assert client.ask("GET", "/known/now", parts=())[:2] == (200, b"now ")
    assert client.app.asked == 0
    client.ask("GET", "/known/unknown", parts=())
    client.ask(path="/known/now")
    client.ask("HEAD", "/known/now", parts=())
    assert client.app.asked == 3
    assert client.ask("GET", "/known/now", parts=(), host="evil.example")[0] == 403


@pytest.mark.parametrize("late_s", [0.0, 0.5 * MOST_READING_S])
def test_a_loop_in_time_answers_every_read(late_s: float) -> None:
    client = Laned()
    client.late(late_s)
    statuses = [client.ask("GET", "/known/now", parts=())[0] for _ in range(200)]
    assert statuses == [200] * 200


def test_a_late_loop_answers_a_few_reads_a_look_and_sheds_the_others_and_health_goes_on() -> None:
    client = Laned()
    client.late(1.0)
    statuses = [client.ask("GET", "/known/now", parts=())[0] for _ in range(FEW_WAITING + 2)]
    assert statuses == [200] * FEW_WAITING + [503] * 2
    assert client.ask("GET", "/livez", parts=())[0] == 200
    assert client.app.asked == 0


def test_what_is_no_post_below_the_prefix_goes_the_usual_way() -> None:
    client = Laned()
    client.ask("GET", "/fast/now", parts=())
    client.ask(path="/fas")
    client.ask(path="/slow/fast/now")
    assert client.app.asked == 3


@pytest.mark.parametrize(
    ("headers", "parts", "status"),
    [
        ({"host": "evil.example"}, (b"x",), 403),
        ({"origin": "http://evil.example"}, (b"x",), 403),
        ({"content_length": "101"}, (b"x",), 413),
        ({"content_length": "5"}, (b"x",), 400),
        ({}, (b"x" * 101,), 413),
        ({}, (b"x" * 60, b"x" * 60), 413),
        ({}, (b"x", None), 408),
    ],
)
def test_a_lane_stands_behind_the_same_door(
    headers: dict[str, str], parts: tuple[bytes | None, ...], status: int
) -> None:
    client = Laned()
    assert client.ask(path="/fast/now", parts=parts, **headers)[0] == status
    assert client.counted == 1


def test_what_would_wait_long_for_the_loop_is_shed_and_health_is_not() -> None:
    client = Laned()
    client.door._lag.seconds = 1.0
    client.door._lag.watch = lambda: None
    assert (
        client.ask(path="/fast/now")[0] == 200
    )  # nobody else waits: the machine is late, not the queue
    client.door._sending = FEW_WAITING
    status, _, headers = client.ask(path="/fast/now")
    assert (status, headers["retry-after"]) == (503, "1")
    assert client.ask("GET", "/livez", parts=())[0] == 200
    assert client.ask("GET", "/readyz", parts=())[0] == 200


def test_a_loop_that_answers_lives() -> None:
    client = Client()
    assert client.ask("GET", "/livez", parts=())[:2] == (200, b'{"live":true}')
    status, body, headers = client.ask("HEAD", "/livez", parts=())
    assert (status, body, headers["content-length"]) == (200, b"", "13")
    assert client.app.asked == 0


@pytest.mark.parametrize(
    "kind", ["text/plain", "TEXT/plain; charset=utf-8", "multipart/form-data; boundary=x"]
)
@pytest.mark.parametrize(
    "browser", [{"referer": "http://evil.example/"}, {"sec_fetch_mode": "no-cors"}]
)
def test_a_form_of_a_browser_that_hides_its_origin_is_refused(
    kind: str, browser: dict[str, str]
) -> None:
    client = Client()
    assert client.ask(content_type=kind, **browser)[0] == 415
    assert client.app.asked == 0


@pytest.mark.parametrize(
    "headers",
    [
        {"content_type": "application/x-www-form-urlencoded"},  # what curl -d sends
        {"content_type": "text/plain"},
        {"content_type": "application/json", "origin": "http://127.0.0.1:80"},
        {},
    ],
)
def test_a_program_may_send_any_type_and_a_page_of_ours_json(headers: dict[str, str]) -> None:
    assert Client().ask(**headers)[0] == 200
