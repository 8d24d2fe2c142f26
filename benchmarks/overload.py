"""Twice what each HTTP door can answer: what is answered, what is shed, whether health goes on,
whether memory stays: `python -m benchmarks.overload [seconds] [door ...]`.

A closed loop on 16 connections finds what a door answers; an open loop asks for twice that by the
clock. Another process asks `/livez` ten times a second meanwhile.
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import msgspec
import psutil

from benchmarks.load import Found, Load, measure
from benchmarks.predict import rows_of
from benchmarks.record import record
from tests.e2e.shop import MODEL, Shop

CONNECTIONS, SETTLED_S = 400, 15.0


def doors(shop: Shop) -> dict[str, Load]:
    """A request for each door; what is sent to ingest are repeats of one record after the first."""
    ports = {name: int(urlsplit(at).port or 0) for name, at in shop.mesh.addresses.items()}
    key, row = shop.visits[-1]["shopper"], rows_of(shop, 1)
    record_sent = msgspec.json.encode(shop.orders[-1])
    return {
        "predict": Load(
            port=ports["predict"],
            method="POST",
            path=f"/v1/predict/{MODEL}",
            body=msgspec.json.encode({"rows": row}),
        ),
        "views": Load(port=ports["predict"], path=f"/v1/views/spending?key={key}"),
        "ingest": Load(
            port=ports["ingest"], method="POST", path="/v1/records/orders", body=record_sent
        ),
        "monitor state": Load(port=ports["monitor"], path="/v1/state"),
        "monitor page": Load(port=ports["monitor"], path="/"),
    }


def listening(port: int) -> list[psutil.Process]:
    """The processes that hold a port, the server's workers among them."""
    pids = {
        found.pid
        for found in psutil.net_connections("tcp")
        if found.laddr and found.laddr.port == port and found.status == psutil.CONN_LISTEN
    }
    return [psutil.Process(pid) for pid in pids if pid]


class Memory:
    """Samples the memory of some processes once a second."""

    def __init__(self, processes: list[psutil.Process]) -> None:
        self._processes, self._stop = processes, threading.Event()
        self.mb: list[float] = []
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(1.0):
            self.mb.append(sum(p.memory_info().rss for p in self._processes) / 2**20)

    def figures(self, settled: int) -> dict[str, float]:
        """After the first seconds, at the end, and the most."""
        later = self.mb[settled:] or self.mb
        return {
            "settled": round(later[0], 1),
            "end": round(later[-1], 1),
            "most": round(max(later), 1),
        }


def overloaded(load: Load, seconds: float) -> dict[str, Any]:
    """The figures of one door."""
    highest = measure(load).per_s
    twice = msgspec.structs.replace(
        load, rate=2 * highest, connections=CONNECTIONS, seconds=seconds, warm_up_s=2.0
    )
    health = Load(port=load.port, rate=10.0, connections=4, seconds=seconds, warm_up_s=2.0)
    with Memory(listening(load.port)) as memory, ThreadPoolExecutor(2) as pool:
        found, alive = pool.map(measure, (twice, health))
    time.sleep(2.0)
    after = measure(load).per_s
    return {
        "highest_per_s": highest,
        "asked_per_s": round((found.asked + found.not_sent) / seconds),
        "answered_per_s": found.per_s,
        "statuses": found.statuses,
        "shed_without_retry_after": found.shed_without_retry_after,
        "broken_connections": found.broken,
        "found_no_connection": found.not_sent,
        "answered_ms": {"p50": found.p50, "p99": found.p99, "max": found.most},
        "health": healthy(alive),
        "memory_mb": memory.figures(int(min(SETTLED_S, seconds / 4))),
        "highest_per_s_after": after,
    }


def healthy(found: Found) -> dict[str, Any]:
    """What the probes of health got."""
    return {
        "asked": found.asked,
        "statuses": found.statuses,
        "broken": found.broken,
        "ms": {"p50": found.p50, "p99": found.p99, "max": found.most},
    }


def main(seconds: float = 120.0, *names: str) -> None:
    """Measures some doors, or all, and records the result."""
    with tempfile.TemporaryDirectory(prefix="twinstream-bench-") as folder:
        shop = Shop(Path(folder) / "mesh")
        try:
            shop.begin()
            figures = {}
            for name, load in doors(shop).items():
                if names and name not in names:
                    continue
                figures[name] = overloaded(load, seconds)
                print(name, msgspec.json.encode(figures[name]).decode(), flush=True)
            figures["restarts"] = {
                name: child.restarts for name, child in shop.mesh.supervisor.children.items()
            }
        finally:
            shop.mesh.stop()
    record(
        "-".join(["overload", *names]),
        {"seconds_a_door": seconds, **figures},
        "the whole mesh, the client and the probes share the two cores with what else ran on the"
        f" machine; {CONNECTIONS} connections at most",
    )


if __name__ == "__main__":
    main(*map(float, sys.argv[1:2]), *sys.argv[2:])
