"""The broker stopped for longer than any client's patience, and killed: services say so, wait, and
go on with nothing lost.
"""

from __future__ import annotations

import signal
import threading
import time

import psutil
import pytest

from deploy.local import services
from schemas.events import MetricObserved
from tests.e2e.shop import Answer, Client, Shop

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(1200)]
SEEN_WITHIN_S = 25.0
STOPPED_S = 45.0
LOST = "predict_events_lost_total"


class Customer(threading.Thread):
    """Sends orders of one shopper over HTTP, each again until it is accepted."""

    def __init__(self, shop: Shop, shopper: str) -> None:
        super().__init__(name="customer", daemon=True)
        self._shop, self._ended = shop, threading.Event()
        self._order = shop.orders[-1] | {"shopper": shopper, "amount": 1.0}
        self.accepted = 0

    def run(self) -> None:
        while not self._ended.wait(0.05):
            order = self._order | {"order_id": f"{self._order['shopper']}-{self.accepted}"}
            while self._shop.ask("ingest", "/v1/records/orders", order).status != 200:
                time.sleep(0.2)
            self.accepted += 1

    def end(self) -> int:
        self._ended.set()
        self.join(60)
        assert not self.is_alive()
        return self.accepted


class Outage:
    """Traffic around a fault of the broker, and what has to be so after it."""

    def __init__(self, shop: Shop, name: str) -> None:
        shop.mesh.wait_ready(120.0)
        self._shop, self._shopper = shop, f"shopper-{name}"
        self._pids = {service: shop.mesh.pid(service) for service in services.ALL}
        self._lost = lost(shop)
        self._client, self._customer = Client(shop), Customer(shop, self._shopper)
        self._client.start()
        self._customer.start()
        shop.wait(lambda: self._customer.accepted > 5, "orders accepted")

    def end(self) -> None:
        shop = self._shop
        shop.wait(lambda: shop.mesh.supervisor.ready, f"all ready; {reasons(shop)}", 120)
        assert {service: shop.mesh.pid(service) for service in services.ALL} == self._pids
        fresh = shop.answered(30, max_staleness_ms=2000)
        assert fresh.status == 200, (fresh, reasons(shop))
        answers, accepted = self._client.end(), self._customer.end()
        assert {answer.status for answer in answers} == {200}, refusals(answers)
        shop.wait(lambda: orders(shop, self._shopper) == accepted, "each order counted once", 60)
        self._account(answers)

    def _account(self, answers: list[Answer]) -> None:
        """Every answer's event is in Kafka, or was counted as lost."""
        asked = {answer.body["id"] for answer in answers}

        def told() -> int:
            return len(asked & self._shop.remembered())

        self._shop.wait(
            lambda: told() + lost(self._shop) - self._lost == len(asked), "all accounted for", 60
        )


def test_a_stopped_broker_makes_services_wait_and_loses_nothing(shop: Shop) -> None:
    """An epoch is being ended meanwhile: its barriers, its manifests and its release wait as
    well.
    """
    epoch = shop.release()["epoch"]
    outage = Outage(shop, "stopped")
    shop.seal()
    begun = time.monotonic()
    shop.mesh.kill("kafka", signal.SIGSTOP)
    try:
        saying = Saying(shop)
        while not saying.kafka_is_away():
            assert time.monotonic() - begun < SEEN_WITHIN_S, saying.seen
            time.sleep(0.1)
        shop.wait(lambda: time.monotonic() - begun > STOPPED_S, "the end of the stop", 60)
    finally:
        shop.mesh.kill("kafka", signal.SIGCONT)
    outage.end()
    shop.wait(lambda: shop.release()["epoch"] > epoch, "the epoch that was being ended", 120)


def test_a_killed_broker_comes_back_and_no_service_is_replaced(shop: Shop) -> None:
    outage = Outage(shop, "killed")
    pid = shop.mesh.kill("kafka")
    shop.mesh.wait_replaced("kafka", pid, 120)
    outage.end()


def test_a_predictor_killed_while_the_broker_is_stopped_leaves_no_id_unknown(shop: Shop) -> None:
    """What it had answered and could not send, its successor sends."""
    shop.mesh.wait_ready(120.0)
    shop.mesh.kill("kafka", signal.SIGSTOP)
    try:
        answers = [shop.predict() for _ in range(30)]
        pid = shop.mesh.pid("predict")
        workers = psutil.Process(pid).children(recursive=True)
        for process in workers:
            process.kill()
        shop.mesh.kill("predict")
    finally:
        shop.mesh.kill("kafka", signal.SIGCONT)
    shop.mesh.wait_replaced("predict", pid, 120)
    asked = {answer.body["id"] for answer in answers}
    assert {answer.status for answer in answers} == {200}, refusals(answers)
    shop.wait(lambda: asked <= shop.remembered(), "each answer's event in Kafka", 60)


class Saying:
    """What each service says last; one that is slow may first say that it is, and only then why."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self.seen: dict[str, str] = {}

    def kafka_is_away(self) -> bool:
        self.seen.update(reasons(self._shop))
        ready = [name for name in services.ALL if self._shop.mesh.child(name).ready]
        return not ready and all("Kafka" in reason for reason in self.seen.values())


def reasons(shop: Shop) -> dict[str, str]:
    """What each service says it waits for."""
    return {name: shop.mesh.child(name).blocked for name in services.ALL}


def refusals(answers: list[Answer]) -> list[object]:
    return [answer.body for answer in answers if answer.status != 200][:3]


def lost(shop: Shop) -> float:
    metrics = shop.events(MetricObserved)
    return sum(metric.value for metric in metrics if metric.name == LOST)


def orders(shop: Shop, shopper: str) -> int:
    answer = shop.ask("predict", f"/v1/views/spending?key={shopper}")
    return int(answer.body["features"]["orders_all"]) if answer.status == 200 else -1
