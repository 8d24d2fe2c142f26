"""Load on one HTTP door, from a process of its own: prepared requests over raw sockets,
so that the client costs little beside the server.

`measure(Load(...))` runs it; `python -m benchmarks.load` is the process:
a Load as JSON on its input, a Found on its output.

A closed loop asks on each connection again as soon as it has its answer.
An open loop asks by the clock, on a free connection or a new one:
what finds none is counted, and what is answered late is measured from when it was due.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections import Counter, deque
from typing import Any

import msgspec
import numpy as np

HEAD_END = b"\r\n\r\n"


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """`rate` requests a second in an open loop; 0: a closed loop on `connections`."""

    port: int
    method: str = "GET"
    path: str = "/livez"
    body: bytes = b""
    connections: int = 16
    seconds: float = 5.0
    warm_up_s: float = 1.0
    rate: float = 0.0


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What came back; latencies in milliseconds, of answers with status 2xx."""

    asked: int
    seconds: float
    statuses: dict[str, int]
    shed_without_retry_after: int
    broken: int
    """Connections that ended before their answer came."""
    not_sent: int
    """Requests that found no connection."""
    p50: float
    p99: float
    most: float

    @property
    def answered(self) -> int:
        """Answers with status 2xx."""
        return sum(n for status, n in self.statuses.items() if status.startswith("2"))

    @property
    def per_s(self) -> float:
        """Answers with status 2xx in a second."""
        return round(self.answered / self.seconds, 1)


def measure(load: Load) -> Found:
    """Runs a load in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.load"]
    done = subprocess.run(
        command, input=msgspec.json.encode(load), stdout=subprocess.PIPE, check=True, timeout=900
    )
    return msgspec.json.decode(done.stdout, type=Found)


class Tally:
    """What is counted once the warm-up is over."""

    def __init__(self) -> None:
        self.counting = False
        self.asked = self.broken = self.not_sent = self.unsaid = 0
        self.statuses: Counter[str] = Counter()
        self.ms: list[float] = []

    def answered(self, head: bytes, due: float) -> None:
        if not self.counting:
            return
        status = head[9:12].decode()
        self.statuses[status] += 1
        if status.startswith("2"):
            self.ms.append((time.perf_counter() - due) * 1000)
        elif status in {"429", "503"} and b"\r\nretry-after:" not in head.lower():
            self.unsaid += 1


class Connection(asyncio.Protocol):
    """One connection that asks one thing at a time."""

    def __init__(self, request: bytes, tally: Tally, free: Any) -> None:
        self._request, self._tally, self._free = request, tally, free
        self._data, self._need, self._due, self._waiting = b"", -1, 0.0, False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def ask(self, due: float) -> None:
        """Send the request that was due then."""
        self._due, self._waiting, self._data, self._need = due, True, b"", -1
        self._tally.asked += self._tally.counting
        self.transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._data += data
        if self._need < 0:
            end = self._data.find(HEAD_END)
            if end < 0:
                return
            self._head = self._data[:end]
            length = self._head.lower().partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0]
            self._need = end + len(HEAD_END) + int(length or 0)
        if len(self._data) >= self._need:
            self._waiting = False
            self._tally.answered(self._head, self._due)
            self._free(self)

    def connection_lost(self, _: Exception | None) -> None:
        self._tally.broken += self._waiting and self._tally.counting
        self._free(self, gone=True)


def request_of(load: Load) -> bytes:
    """The bytes of a request."""
    head = f"{load.method} {load.path} HTTP/1.1\r\nHost: 127.0.0.1:{load.port}\r\n"
    if load.body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(load.body)}\r\n"
    return head.encode() + b"\r\n" + load.body


async def closed(load: Load, tally: Tally) -> None:
    """Each connection asks again as soon as it is answered."""
    loop, request, ending = asyncio.get_running_loop(), request_of(load), False

    def free(connection: Connection, *, gone: bool = False) -> None:
        if not gone and not ending:
            connection.ask(time.perf_counter())

    made = [
        (
            await loop.create_connection(
                lambda: Connection(request, tally, free), "127.0.0.1", load.port
            )
        )[1]
        for _ in range(load.connections)
    ]
    for connection in made:
        connection.ask(time.perf_counter())
    await asyncio.sleep(load.warm_up_s)
    tally.counting = True
    await asyncio.sleep(load.seconds)
    tally.counting, ending = False, True
    for connection in made:
        connection.transport.abort()


async def opened(load: Load, tally: Tally) -> None:
    """Asks by the clock, on free connections; opens more while there are fewer than allowed."""
    loop, request, idle, count = asyncio.get_running_loop(), request_of(load), deque(), 0

    def free(connection: Connection, *, gone: bool = False) -> None:
        nonlocal count
        if gone:
            count -= 1
            if connection in idle:
                idle.remove(connection)
        else:
            idle.append(connection)

    async def ask_anew(due: float) -> None:
        nonlocal count
        try:
            _, connection = await loop.create_connection(
                lambda: Connection(request, tally, free), "127.0.0.1", load.port
            )
        except OSError:
            count -= 1
            tally.broken += tally.counting
            return
        connection.ask(due)

    tasks = set()
    begun = time.perf_counter()
    number, end = 0, begun + load.warm_up_s + load.seconds
    while (now := time.perf_counter()) < end:
        tally.counting = now >= begun + load.warm_up_s
        while (due := begun + number / load.rate) <= now:
            number += 1
            if idle:
                idle.popleft().ask(due)
            elif count < load.connections:
                count += 1
                task = loop.create_task(ask_anew(due))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            else:
                tally.not_sent += tally.counting
        await asyncio.sleep(0.001)
    tally.counting = False


def main() -> None:
    """The process."""
    import uvloop

    load = msgspec.json.decode(sys.stdin.buffer.read(), type=Load)
    tally = Tally()
    uvloop.run((opened if load.rate else closed)(load, tally))
    p50, p99, most = (
        np.percentile(tally.ms, [50, 99, 100]).round(3).tolist() if tally.ms else (0.0,) * 3
    )
    found = Found(
        asked=tally.asked,
        seconds=load.seconds,
        statuses=dict(tally.statuses),
        shed_without_retry_after=tally.unsaid,
        broken=tally.broken,
        not_sent=tally.not_sent,
        p50=p50,
        p99=p99,
        most=most,
    )
    sys.stdout.buffer.write(msgspec.json.encode(found))


if __name__ == "__main__":
    main()
