"""Twice what an HTTP door answers: a closed loop finds that rate, then requests come by the clock.

Each request has a connection of its own, so a door also has to accept what it sheds. Health is
asked meanwhile, on connections of its own too.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count
from urllib.parse import urlsplit

import msgspec
import psutil

CLOSED_LOOP = 16
"""Connections of the closed loop: more than a door has threads would be overload already."""
MOST_OPEN = 256
"""Requests that wait for their answers at a time; what comes beyond stays with the client."""
ANSWER_S = 20.0
"""An answer that takes longer counts as none."""
HEALTH_EVERY_S = 0.1
HEALTH = ("/livez", "/readyz")
MB = 1_000_000
SHED = (429, 503)


class Reply(msgspec.Struct, frozen=True):
    """An HTTP answer; status 0: none came, and `body` says why."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def wrong(self) -> str:
        """Why an overloaded door may not answer so; "" for what it may."""
        if self.status in SHED:
            return "" if "retry-after" in self.headers else f"{self.status} without Retry-After"
        return "" if self.status // 100 == 2 else f"{self.status} {self.body[:200]!r}"


class Figures(msgspec.Struct, kw_only=True):
    """What an overload of one door showed."""

    answered_per_s: float = 0.0
    offered: int = 0
    held_back: int = 0
    statuses: Counter[int] = msgspec.field(default_factory=Counter)
    health: Counter[tuple[str, int]] = msgspec.field(default_factory=Counter)
    slowest_health_ms: float = 0.0
    grown_mb: float = 0.0
    wrong: set[str] = msgspec.field(default_factory=set)


class Door(msgspec.Struct, frozen=True):
    """Where to ask, what for (the n-th request whole, without its head's end), and whose memory to
    look at.
    """

    address: str
    request: Callable[[int], tuple[str, bytes]]
    pid: int

    def bytes_of(self, number: int) -> bytes:
        """The n-th request as it travels."""
        line, body = self.request(number)
        return head(self.address, line, len(body)) + body


def head(address: str, line: str, length: int = 0) -> bytes:
    """The lines of a request before its body."""
    host = urlsplit(address).netloc
    return (
        f"{line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


def overload(
    door: Door, seconds: float, seen: Callable[[int, Reply], None] = lambda *_: None
) -> Figures:
    """A fifth of the time in a closed loop, the rest at twice the rate that it reached.

    `seen` gets every request's number and answer.
    """
    return asyncio.run(_Load(door, seen).run(seconds))


class _Load:
    """One overload of one door."""

    def __init__(self, door: Door, seen: Callable[[int, Reply], None]) -> None:
        self._door, self._seen, self._numbers = door, seen, count()
        self._open: set[asyncio.Task[None]] = set()
        self.found = Figures()

    async def run(self, seconds: float) -> Figures:
        before_mb = resident_mb(self._door.pid)
        ended = asyncio.Event()
        health = [asyncio.create_task(self._ask_health(path, ended)) for path in HEALTH]
        await self._closed_loop(seconds / 5)
        await self._open_loop(2 * self.found.answered_per_s, seconds * 4 / 5)
        ended.set()
        await asyncio.gather(*health)
        self.found.grown_mb = resident_mb(self._door.pid) - before_mb
        return self.found

    async def _closed_loop(self, seconds: float) -> None:
        begun = time.monotonic()

        async def client() -> None:
            while time.monotonic() < begun + seconds:
                await self._ask()

        await asyncio.gather(*(client() for _ in range(CLOSED_LOOP)))
        answered = sum(n for status, n in self.found.statuses.items() if status // 100 == 2)
        self.found.answered_per_s = answered / (time.monotonic() - begun)

    async def _open_loop(self, per_s: float, seconds: float) -> None:
        for due in _arrivals(per_s, seconds):
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if len(self._open) >= MOST_OPEN:
                self.found.held_back += 1
                continue
            task = asyncio.create_task(self._ask())
            self._open.add(task)
            task.add_done_callback(self._open.discard)
        await asyncio.gather(*self._open)

    async def _ask(self) -> None:
        number = next(self._numbers)
        self.found.offered += 1
        reply = await asked(self._door.address, self._door.bytes_of(number))
        self.found.statuses[reply.status] += 1
        if reply.wrong:
            self.found.wrong.add(reply.wrong)
        self._seen(number, reply)

    async def _ask_health(self, path: str, ended: asyncio.Event) -> None:
        while not ended.is_set():
            begun = time.monotonic()
            reply = await asked(self._door.address, head(self._door.address, f"GET {path}"))
            took_ms = 1000 * (time.monotonic() - begun)
            self.found.health[path, reply.status] += 1
            self.found.slowest_health_ms = max(self.found.slowest_health_ms, took_ms)
            await asyncio.sleep(HEALTH_EVERY_S)


def _arrivals(per_s: float, seconds: float) -> Iterator[float]:
    """Moments of the monotonic clock, evenly spaced, not put off when one of them is late."""
    begun = time.monotonic()
    for number in range(round(per_s * seconds)):
        yield begun + number / per_s


async def asked(address: str, request: bytes) -> Reply:
    """The answer on a new connection."""
    try:
        async with asyncio.timeout(ANSWER_S):
            return await _exchanged(address, request)
    except (OSError, ValueError, TimeoutError) as error:
        return Reply(0, {}, repr(error).encode())


async def _exchanged(address: str, request: bytes) -> Reply:
    where = urlsplit(address)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    try:
        writer.write(request)
        said = await reader.read(-1)
    finally:
        writer.close()
    first, _, body = said.partition(b"\r\n\r\n")
    status, *lines = first.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    if "content-length" in headers and len(body) != int(headers["content-length"]):
        raise ValueError(f"{len(body)} of {headers['content-length']} bytes came")
    return Reply(int(status.split(" ")[1]), headers, body)


def resident_mb(pid: int) -> float:
    """Of a process and all that it started."""
    whole = psutil.Process(pid)
    sizes = [process.memory_info().rss for process in (whole, *whole.children(recursive=True))]
    return sum(sizes) / MB
