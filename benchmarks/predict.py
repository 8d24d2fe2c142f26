"""Prediction over HTTP: the shop example's service beside a plain FastAPI, in turns,
on one machine: `python -m benchmarks.predict [seconds]`.

Ours reads and merges three views at one position, runs the trained network and logs each prediction
to Kafka. The peer reads three records and logs nothing.
One process and one thread of the network each; the client is a process of its own on the same
cores.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import numpy as np

from benchmarks.load import Found, Load, measure
from benchmarks.peers.environment import python_of
from benchmarks.record import record
from tests.e2e.shop import MODEL, Shop

HERE = Path(__file__).parent
ROWS, ROUNDS, SHOPPERS = (1, 64, 256), 3, 300


@contextmanager
def peer(folder: str) -> Iterator[int]:
    """The FastAPI service; gives its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = HERE / "peers" / "fastapi_predict.py"
    command = [str(python_of(HERE / "peers" / "fastapi.txt")), str(program), str(port), folder]
    env = {**os.environ, "PYTHONPATH": sysconfig.get_paths()["purelib"]}
    server = subprocess.Popen([*command, str(SHOPPERS)], env=env)
    try:
        _await(port)
        yield port
    finally:
        server.terminate()
        server.wait()


def _await(port: int) -> None:
    give_up = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.1)
        else:
            return


def rows_of(shop: Shop, count: int) -> list[dict[str, Any]]:
    """Questions about visits that are made now, by different shoppers."""
    now_us = time.time_ns() // 1000
    return [
        shop.visits[-1 - i] | {"visit_id": f"asked-{i}", "visited_at": now_us + i}
        for i in range(count)
    ]


def summary(found: list[Found], rows: int) -> dict[str, Any]:
    """Medians over the rounds."""
    middle = {
        name: round(float(np.median([getattr(f, name) for f in found])), 2)
        for name in ("per_s", "p50", "p99")
    }
    others = {s: n for f in found for s, n in f.statuses.items() if not s.startswith("2")}
    return {
        "requests_per_s": middle["per_s"],
        "rows_per_s": round(middle["per_s"] * rows),
        "p50_ms": middle["p50"],
        "p99_ms": middle["p99"],
        "other_statuses": others,
    }


def main(seconds: float = 5.0) -> None:
    """Measures in turns and records the result."""
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="twinstream-bench-") as folder:
        shop = Shop(Path(folder) / "mesh")
        try:
            shop.begin()
            with peer(str(Path(folder) / "peer")) as peer_port:
                figures = compared(shop, peer_port, seconds)
        finally:
            shop.mesh.stop()
    record(
        "predict",
        figures,
        "16 connections, closed loop, median of three rounds in turns; the whole mesh of the shop"
        " example runs beside on the same cores; figures are of one run on a shared machine",
    )


def compared(shop: Shop, peer_port: int, seconds: float) -> dict[str, Any]:
    """Ours and the peer's figures by the number of rows, and what else the door gives."""
    port = int(urlsplit(shop.mesh.addresses["predict"]).port or 0)
    figures: dict[str, Any] = {}
    for rows in ROWS:
        body = msgspec.json.encode({"rows": rows_of(shop, rows)})
        ours = Load(
            port=port, method="POST", path=f"/v1/predict/{MODEL}", body=body, seconds=seconds
        )
        theirs = msgspec.structs.replace(ours, port=peer_port, path="/predict")
        found: dict[str, list[Found]] = {"twinstream": [], "fastapi": []}
        for _ in range(ROUNDS):
            found["twinstream"].append(measure(ours))
            found["fastapi"].append(measure(theirs))
        named = {name: summary(f, rows) for name, f in found.items()}
        ratio = named["twinstream"]["requests_per_s"] / named["fastapi"]["requests_per_s"]
        figures[f"rows_{rows}"] = {**named, "ratio": round(ratio, 2)}
    key = shop.visits[-1]["shopper"]
    view = measure(Load(port=port, path=f"/v1/views/spending?key={key}", seconds=seconds))
    figures["view_of_one_key"] = summary([view], 1)
    figures["livez"] = summary([measure(Load(port=port, seconds=seconds))], 1)
    highest = figures["rows_1"]["twinstream"]["requests_per_s"]
    body = msgspec.json.encode({"rows": rows_of(shop, 1)})
    half = Load(
        port=port,
        method="POST",
        path=f"/v1/predict/{MODEL}",
        body=body,
        seconds=seconds,
        rate=highest / 2,
        connections=64,
    )
    figures["half_of_the_highest"] = {
        "asked_per_s": round(highest / 2),
        **summary([measure(half)], 1),
    }
    return figures


if __name__ == "__main__":
    main(*map(float, sys.argv[1:]))
