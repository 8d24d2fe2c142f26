"""Odd HTTP requests at a door, seeded."""

from __future__ import annotations

import random
from collections.abc import Iterator

import msgspec

PATHS = {
    "ingest": (
        "/v1/records/visits",
        "/v1/records/orders",
        "/v1/records/nobody",
        "/v1/data-arrived",
        "/livez",
        "/readyz",
        "/",
        "/%00",
        "/v1/records/",
    ),
    "predict": (
        "/v1/predict/will-buy",
        "/v1/predict/nobody",
        "/v1/views/spending?key=",
        "/v1/views/spending?key=a&at=--5",
        "/v1/views/spending?key=a&at=%C2%B2",
        "/v1/views/spending",
        "/v1/views/nobody?key=a",
        "/v1/releases",
        "/livez",
        "/readyz",
        "/v1/views/spending?key=a&max_staleness_ms=nan",
        "/v1/views/spending?key=a&min_position={",
        "/v1/views/spending?key=" + "k" * 3000,
    ),
    "monitor": ("/", "/v1/state", "/v1/state?x=1", "/livez", "/readyz", "/nowhere"),
}
BODIES = (
    None,
    b"",
    b"{",
    b"null",
    b"[]",
    b"{}",
    b'{"rows": []}',
    b'{"rows": [{}]}',
    b'{"rows": "x"}',
    b'{"rows": [{"visit_id": 1}]}',
    b"[" * 3_000,
    b'{"rows": [' + b'{"a":' * 3_000,
    b"\xff\xfe",
    b'{"a": NaN}',
    b'{"a":1}\n' * 2_000,
    b"x" * 200_000,
)


class OddRequest(msgspec.Struct, frozen=True):
    method: str
    path: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None


def odd_requests(door: str, seed: int) -> Iterator[OddRequest]:
    """For ever."""
    dice = random.Random(seed)
    while True:
        method = dice.choice(("GET", "POST", "POST", "PUT", "DELETE", "HEAD", "BREW"))
        yield OddRequest(
            method, dice.choice(PATHS[door]), (), None if method == "GET" else dice.choice(BODIES)
        )
