"""Each HTTP door is asked twice what it can answer: it sheds in words, lives on, and what it
acknowledged counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

import msgspec
import psutil
import pytest

from deploy.local import services
from tests.e2e.overload import Door, Reply, overload
from tests.e2e.shop import MODEL, Shop

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(600)]
SECONDS = 10.0
SHOPPER = "shopper-overload"
Replies = Mapping[int, Reply]


def predictions(shop: Shop, _: int) -> tuple[str, bytes]:
    visit = shop.visits[-1] | {"visit_id": "asked", "visited_at": time.time_ns() // 1000}
    return f"POST /v1/predict/{MODEL}", msgspec.json.encode({"rows": [visit]})


def orders(shop: Shop, number: int) -> tuple[str, bytes]:
    order = shop.orders[-1] | {"order_id": f"over-{number}", "shopper": SHOPPER}
    return "POST /v1/records/orders", msgspec.json.encode(order)


def reads(shop: Shop, _: int) -> tuple[str, bytes]:
    return f"GET /v1/views/spending?key={shop.visits[-1]['shopper']}", b""


def states(_: Shop, __: int) -> tuple[str, bytes]:
    return "GET /v1/state", b""


DOORS = {
    "predictions": ("predict", predictions),
    "reads": ("predict", reads),
    "orders": ("ingest", orders),
    "states": ("monitor", states),
}


def door(shop: Shop, service: str, request: Callable[[Shop, int], tuple[str, bytes]]) -> Door:
    """The door of a running service, whose first process listens."""
    address = shop.mesh.addresses[service]
    port = urlsplit(address).port
    pid = min(
        found.pid
        for found in psutil.net_connections("tcp")
        if found.laddr.port == port and found.status == psutil.CONN_LISTEN and found.pid
    )
    return Door(address, lambda number: request(shop, number), pid)


@pytest.mark.parametrize("name", list(DOORS))
def test_a_door_sheds_what_it_cannot_answer(shop: Shop, name: str) -> None:
    shop.mesh.wait_ready(120.0)
    pids = {service: shop.mesh.pid(service) for service in services.ALL}
    replies: dict[int, Reply] = {}
    found = overload(door(shop, *DOORS[name]), SECONDS, replies.__setitem__)
    assert found.wrong == set()
    assert found.answered_per_s > 0
    assert {status for _, status in found.health} == {200}
    assert {service: shop.mesh.pid(service) for service in services.ALL} == pids
    acknowledged = {number: reply for number, reply in replies.items() if reply.status == 200}
    if name == "predictions":
        every_answer_is_remembered(shop, acknowledged)
    if name == "orders":
        every_order_counts_once(shop, acknowledged)


def every_answer_is_remembered(shop: Shop, acknowledged: Replies) -> None:
    ids = {msgspec.json.decode(reply.body)["id"] for reply in acknowledged.values()}
    assert len(ids) == len(acknowledged)
    shop.wait(lambda: ids <= shop.remembered(), "an event of each answer", 60)


def every_order_counts_once(shop: Shop, acknowledged: Replies) -> None:
    def counted() -> int:
        answer = shop.ask("predict", f"/v1/views/spending?key={SHOPPER}")
        return int(answer.body["features"]["orders_all"]) if answer.status == 200 else -1

    shop.wait(lambda: counted() >= len(acknowledged), "each order counted", 60)
    assert counted() == len(acknowledged)
