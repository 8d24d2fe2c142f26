"""What stands before every HTTP service: who may ask, how much and how slowly, and how many at a time.

An ASGI application around a WSGI one. Bodies are read by the event loop, whole and within a bound, so a slow client holds no
thread. Health has threads of its own, and that the process lives the loop says itself. A hot route may have a lane: what it answers in a moment it answers in the event loop,
without WSGI. What comes beyond the slots is shed at once with 503 and Retry-After.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import BytesIO
from typing import Any, Self

import msgspec
import structlog

from twinstream.mesh.loop_lag import FEW_WAITING, MOST_LAG_S, LoopLag
from twinstream.mesh.problems import Place, Problem, RefusedError, problem_body, problem_of
from twinstream.mesh.settings import MeshSettings

Environ = dict[str, Any]
Scope = dict[str, Any]
Headers = dict[bytes, bytes]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
WsgiApp = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]
LIVE = "/livez"
READY = "/readyz"
SAFE = ("GET", "HEAD", "OPTIONS")
FORMS = {b"application/x-www-form-urlencoded", b"multipart/form-data", b"text/plain"}
"""What a page may send anywhere without being asked first whether it may (the Fetch standard's CORS-safelisted types)."""
OF_BROWSERS = (b"origin", b"referer", b"sec-fetch-site", b"sec-fetch-mode")
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
ADMITTED = 2
"""So many requests for each slot are at work or wait for a thread; what comes beyond is shed."""
BODIES = 8
"""So many requests for each slot may be sending their bodies: these hold memory, not threads."""
SWITCH_S = 0.001
"""So long a thread keeps Python's lock while others wait: with the usual 5 ms the loop waits for
many threads that compute, and health with it.
"""
BUSY = "too many requests are at work", "try again in a moment"
_log = structlog.get_logger()


class GoneError(Exception):
    """The client left."""


class DoorSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`hosts`: names under which the service may be asked, "*" for any. `slots`: requests at work
    at a time, each in a thread. `live`, `ready`: paths of health, which takes no slot.
    """

    hosts: tuple[str, ...]
    body_bytes: int
    body_s: float = 10.0
    slots: int = 12
    live: tuple[str, ...] = (LIVE,)
    ready: tuple[str, ...] = (READY,)

    @classmethod
    def of(cls, mesh: MeshSettings, *, body_bytes: int, body_s: float, slots: int) -> Self:
        """Of a service that is asked under the names that the mesh's settings give."""
        hosts = hosts_of(mesh.http_host, mesh.http_hosts)
        return cls(hosts=hosts, body_bytes=body_bytes, body_s=body_s, slots=slots)


class Answer(msgspec.Struct):
    """What is sent back."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


Found = Answer | asyncio.Future[Answer] | Callable[[], Answer]
"""An answer, one that comes in a moment, or what finds it in longer: that runs in a worker thread and takes a slot."""
Lane = Callable[[str, bytes], Found]
"""Answers a POST: given what follows the lane's prefix in the path, and the body."""
ReadLane = Callable[[str, bytes, Headers], Answer | None]
"""Answers a GET: given what follows its prefix, the query and the headers; None: it goes the usual way. "/" is a path, and no
prefix.
"""


class Door:
    """An ASGI application; `app` answers in threads of this process."""

    def __init__(
        self,
        app: WsgiApp,
        settings: DoorSettings,
        count: Callable[..., None],
        lanes: Mapping[str, Lane] | None = None,
        reads: Mapping[str, ReadLane] | None = None,
    ) -> None:
        """`lanes` and `reads`: by the prefix of their paths."""
        sys.setswitchinterval(SWITCH_S)
        self._app = app
        self._settings = settings
        self._count = count
        self._lanes = tuple((lanes or {}).items())
        self._reads = tuple((reads or {}).items())
        self._workers = ThreadPoolExecutor(settings.slots, thread_name_prefix="answer")
        self._health = ThreadPoolExecutor(2, thread_name_prefix="health")
        self._at_work = self._sending = 0
        self._lag = LoopLag()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or say why not."""
        if scope["type"] != "http":
            return
        try:
            found = await self._answer(scope, receive)
        except GoneError:
            return
        except RefusedError as error:
            self._count("http_refused_total", 1, status=error.status)
            found = refusal(error)
        headers = [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in found.headers
        ]
        await send({"type": "http.response.start", "status": found.status, "headers": headers})
        await send({"type": "http.response.body", "body": found.body})

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        headers = headers_of(scope)
        check(scope["method"], headers, self._settings.hosts)
        path = scope["path"]
        if path in self._settings.live and scope["method"] in SAFE:
            return alive(scope["method"])
        if path in self._settings.ready and scope["method"] in SAFE:
            return await self._call(self._health, partial(called, self._app, environ_of(scope)))
        if (read := self._read(scope, headers)) is not None:
            return read
        lane, rest = self._lane_of(scope["method"], path)
        if lane is not None:
            self._refuse_late()
        body = await self._body(headers, receive)
        if lane is not None:
            found = lane(rest, body)
            if isinstance(found, asyncio.Future):
                return await found
            return found if isinstance(found, Answer) else await self._work(found)
        environ = environ_of(scope)
        environ["wsgi.input"] = BytesIO(body)
        environ["CONTENT_LENGTH"] = str(len(body))
        return await self._work(partial(called, self._app, environ))

    def _lane_of(self, method: str, path: str) -> tuple[Lane | None, str]:
        """The lane of a request, if it has one, and what follows its prefix."""
        if method == "POST":
            for prefix, lane in self._lanes:
                if path.startswith(prefix):
                    return lane, path[len(prefix) :]
        return None, ""

    def _read(self, scope: Scope, headers: Headers) -> Answer | None:
        """What a lane answers to a GET, if it has one and knows; raises RefusedError when more is
        asked than the loop can answer in time. A thread would only take longer.
        """
        if scope["method"] != "GET":
            return None
        path = scope["path"]
        for prefix, take in self._reads:
            if path == prefix or (prefix != "/" and path.startswith(prefix)):
                if self._lag.crowded():
                    raise RefusedError(503, *BUSY)
                return take(path[len(prefix) :], scope.get("query_string", b""), headers)
        return None

    def _refuse_late(self) -> None:
        """Shed what would wait long for the loop: only when others wait, for a loop is late too when the machine is."""
        self._lag.watch()
        if self._lag.seconds > MOST_LAG_S and self._sending >= FEW_WAITING:
            raise RefusedError(503, *BUSY)

    async def _work(self, answer: Callable[[], Answer]) -> Answer:
        """What a worker thread answers; raises RefusedError when as many wait for one as are at work."""
        if self._at_work >= ADMITTED * self._settings.slots:
            raise RefusedError(503, *BUSY)
        self._at_work += 1
        try:
            return await self._call(self._workers, answer)
        finally:
            self._at_work -= 1

    async def _call(self, pool: ThreadPoolExecutor, answer: Callable[[], Answer]) -> Answer:
        return await asyncio.get_running_loop().run_in_executor(pool, answer)

    async def _body(self, headers: Headers, receive: Receive) -> bytes:
        """The whole body, or none of it."""
        declared = self._declared(headers)
        if (
            self._at_work >= ADMITTED * self._settings.slots
            or self._sending >= BODIES * self._settings.slots
        ):
            raise RefusedError(503, *BUSY)
        self._sending += 1
        try:
            async with asyncio.timeout(self._settings.body_s):
                body = await _all_of(receive, self._settings.body_bytes)
        except TimeoutError:
            raise RefusedError(
                408,
                f"the body did not come within {self._settings.body_s:g} s; nothing of it was taken",
            ) from None
        finally:
            self._sending -= 1
        if declared is not None and len(body) != declared:
            raise RefusedError(
                400,
                f"the body broke off after {len(body)} of {declared} bytes; nothing of it was taken",
            )
        return body

    def _declared(self, headers: Headers) -> int | None:
        """The body's length as the client says it, if he does; raises RefusedError for none that can be."""
        text = headers.get(b"content-length", b"")
        if not text:
            return None
        if not text.isdigit():
            raise RefusedError(400, f"Content-Length {_text(text)[:40]!r} is not a number")
        if int(text[:20]) > self._settings.body_bytes:
            raise RefusedError(
                413,
                f"the body has {_text(text)[:20]} bytes, at most {self._settings.body_bytes}"
                " are taken",
                "send it in parts",
            )
        return int(text)


async def _all_of(receive: Receive, most: int) -> bytes:
    event = await receive()
    if not event.get("more_body", False) and event["type"] != "http.disconnect":
        body: bytes = event.get("body", b"")
        _refuse_large(len(body), most)
        return body
    parts = []
    size = 0
    while True:
        if event["type"] == "http.disconnect":
            raise GoneError
        parts.append(event.get("body", b""))
        size += len(parts[-1])
        _refuse_large(size, most)
        if not event.get("more_body", False):
            return b"".join(parts)
        event = await receive()


def _refuse_large(size: int, most: int) -> None:
    if size > most:
        raise RefusedError(
            413,
            f"the body is larger than {most} bytes, nothing of it was taken",
            "send it in parts",
        )


def headers_of(scope: Scope) -> Headers:
    """Headers by name in small letters; one that comes again is joined, as a list is written."""
    found: Headers = {}
    for name, value in scope.get("headers", ()):
        found[name] = found[name] + b"," + value if name in found else value
    return found


def alive(method: str) -> Answer:
    """What `/livez` says: a process whose loop answers lives."""
    body = b'{"live":true}'
    headers = [("content-type", "application/json"), ("content-length", str(len(body)))]
    return Answer(200, headers, b"" if method == "HEAD" else body)


def environ_of(scope: Scope) -> Environ:
    """The WSGI environment of a request (PEP 3333), without its body."""
    server = scope.get("server") or ("", 0)
    environ: Environ = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": scope["path"].encode("utf-8", "surrogateescape").decode("latin-1"),
        "QUERY_STRING": scope.get("query_string", b"").decode("latin-1"),
        "SERVER_NAME": str(server[0]),
        "SERVER_PORT": str(server[1]),
        "SERVER_PROTOCOL": f"HTTP/{scope.get('http_version', '1.1')}",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.get("scheme", "http"),
        "wsgi.input": BytesIO(),
        "wsgi.errors": None,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
    }
    for name, value in scope.get("headers", ()):
        key = name.decode("latin-1").upper().replace("-", "_")
        key = key if key in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{key}"
        text = value.decode("latin-1")
        environ[key] = f"{environ[key]},{text}" if key in environ else text
    environ.pop("HTTP_TRANSFER_ENCODING", None)
    return environ


def called(app: WsgiApp, environ: Environ) -> Answer:
    """What a WSGI application answers; 500 for one that raises."""
    found = Answer(500, [], b"")

    def start_response(status: str, headers: list[tuple[str, str]], *_: object) -> None:
        found.status = int(status.split(" ", 1)[0])
        found.headers = headers

    try:
        parts = app(environ, start_response)
        try:
            found.body = b"".join(parts)
        finally:
            if hasattr(parts, "close"):
                parts.close()
    except Exception as error:  # noqa: BLE001  (the last catch-all of a request)
        _log.error("request_failed", path=environ["PATH_INFO"], exc_info=error)
        return refusal(
            RefusedError(500, "the request failed inside; the log of the service says why")
        )
    if environ["REQUEST_METHOD"] == "HEAD":
        found.body = b""
    return found


def check(method: str, headers: Headers, hosts: tuple[str, ...]) -> None:
    """No page of another site may make its visitor's browser ask, by any name of this address."""
    host = headers.get(b"host", b"")
    if "*" not in hosts and host and _name_of(_text(host)) not in hosts:
        raise RefusedError(
            403,
            f"this service is not {_text(host)[:100]!r}",
            "ask it by its own address, or allow the name in TWINSTREAM_HTTP_HOSTS",
        )
    if method in SAFE:
        return
    origin = headers.get(b"origin")
    if origin is not None and origin.partition(b"://")[2] != host:
        raise RefusedError(
            403, f"a page of {_text(origin)[:100]} may not ask this service to change anything"
        )
    kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if kind in FORMS and any(name in headers for name in OF_BROWSERS):
        raise RefusedError(
            415, f"a browser's {_text(kind)} is not taken", "send Content-Type: application/json"
        )
    if headers.get(b"sec-fetch-site", b"none") not in {b"none", b"same-origin"}:
        raise RefusedError(
            403, "a page of another site may not ask this service to change anything"
        )


def hosts_of(bound: str, more: str) -> tuple[str, ...]:
    """Names under which a service that binds an address may be asked: of loopback itself, and those that are allowed by setting."""
    allowed = tuple(name.strip().lower() for name in more.split(",") if name.strip())
    if bound in {"127.0.0.1", "localhost", "::1"}:
        return (*LOOPBACK, *allowed)
    return allowed or ("*",)


def _text(value: bytes) -> str:
    return value.decode("latin-1")


def _name_of(host: str) -> str:
    """A Host header without its port."""
    name, colon, port = host.lower().rpartition(":")
    return name if colon and port.isdigit() else host.lower()


def refusal(error: RefusedError) -> Answer:
    """A refused request's answer."""
    answer = of_problem(problem_of(error.text, error.status, Place(remedy=error.remedy)))
    if error.status in {408, 413}:
        answer.headers.append(("connection", "close"))
    return answer


def of_problem(problem: Problem) -> Answer:
    """A problem's answer."""
    headers, body = problem_body(problem)
    return Answer(problem.status, headers, body)
