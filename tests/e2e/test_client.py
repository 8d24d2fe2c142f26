"""`twinstream.Client` on the whole mesh: what it publishes it can ask for, by row and by key."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.e2e.shop import MODEL, Shop
from twinstream import Client

EXAMPLES = Path(__file__).parents[2] / "examples" / "shop"
pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.fixture
def client(shop: Shop) -> Iterator[Client]:
    at = shop.mesh.addresses
    with Client(predict=at["predict"], ingest=at["ingest"], monitor=at["monitor"]) as made:
        yield made


def visit(shop: Shop, name: str) -> dict[str, Any]:
    now_us = time.time_ns() // 1000
    return shop.visits[-1] | {"visit_id": f"{name}-{now_us}", "visited_at": now_us}


def test_a_record_of_something_else_is_in_the_answer(shop: Shop, client: Client) -> None:
    asked = visit(shop, "asked")
    shopper = asked["shopper"]
    order = shop.orders[-1] | {
        "order_id": f"client-{time.time_ns()}",
        "shopper": shopper,
        "amount": 12.5,
        "ordered_at": asked["visited_at"],
    }
    before = client.views("spending", [shopper, "nobody"]).rows
    found = client.publish_and_predict("orders", order, MODEL, [asked])
    ((partition, offset),) = found.receipt.position["orders"].items()
    assert found.answer.position["spending"].raw[partition] >= offset
    after = client.views(
        "spending",
        [shopper, "nobody"],
        features=["orders_all"],
        min_position=found.receipt.position,
    )
    assert [row.key for row in after.rows] == [shopper, "nobody"]
    counted = [row.features["orders_all"] for row in after.rows]
    assert counted == [before[0].features["orders_all"] + 1, 0]
    one = client.view("spending", shopper, min_position=found.receipt.position)
    assert one.features["orders_all"] == counted[0]


def test_a_record_that_is_the_question_is_not_in_its_own_answer(shop: Shop, client: Client) -> None:
    asked = visit(shop, "own")
    found = client.publish_and_predict("visits", asked, MODEL)
    ((partition, offset),) = found.receipt.position["visits"].items()
    assert found.answer.position["by-shopper"].raw.get(partition, -1) < offset
    seen = client.predict(MODEL, [asked], min_position=found.receipt.position)
    assert seen.position["by-shopper"].raw[partition] >= offset


def test_each_row_is_answered_for_itself(shop: Shop, client: Client) -> None:
    found = client.predict_each(MODEL, [visit(shop, "good"), {"shopper": "s"}])
    assert isinstance(found.predictions[0], float)
    assert [(row, one.field) for row, one in found.problems.items()] == [(1, "page")]


def test_metrics_come_as_they_are_measured(client: Client) -> None:
    assert next(client.metrics("predict_")).name.startswith("predict_")


def test_the_notebook_runs(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its cells, in their order, as a kernel runs them."""
    for name in ("predict", "ingest", "monitor"):
        monkeypatch.setenv(name.upper(), shop.mesh.addresses[name])
    outside = msgspec.structs.replace(shop.mesh.settings, external=True)
    for name, value in outside.to_env().items():
        monkeypatch.setenv(name, value)
    notebook = msgspec.json.decode((EXAMPLES / "shop.ipynb").read_bytes())
    names: dict[str, Any] = {}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), "shop.ipynb", "exec"), names)
    assert len(names["answer"].predictions) == 3
    assert names["after"].id != names["answer"].id
    assert len(names["learned"]) == sum(len(batch.label) for batch in names["batches"]) > 0
