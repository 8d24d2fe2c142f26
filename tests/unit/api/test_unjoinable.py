"""Rows whose label can never be met are answered, and the answer says so."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from predict_svc.api.questions import Questions
from tests.unit.api.fakes import World, visit
from tests.unit.api.test_questions import Kafka, Message
from twinstream.client import Predictions

COUNTED = ("predict_unjoinable_rows_total", {"model": "will-buy", "field": "visit_id"})


@pytest.fixture
def world() -> World:
    made = World()
    made.promote(seed=1)
    return made


def without_id(**more: Any) -> dict[str, Any]:
    row = visit(**more)
    del row["visit_id"]
    return row


def asked_both_ways(world: World, rows: list[Any], **more: Any) -> list[dict[str, Any]]:
    """By Flask, and by the way past it."""
    status, found, _ = world.ask_by_lane(rows, **more)
    assert status in {200, 207}
    return [world.ask(rows, **more).json, found]


def test_an_answer_that_can_be_measured_warns_of_nothing(world: World) -> None:
    for found in asked_both_ways(world, [visit(), visit()]):
        assert "warnings" not in found
    assert COUNTED not in world.meter.counted


@pytest.mark.parametrize("lacking", [without_id(), visit(visit_id=None)])
def test_rows_without_the_key_of_their_label_are_answered_with_a_warning(
    world: World, lacking: dict[str, Any]
) -> None:
    (whole, _) = asked_both_ways(world, [visit(), visit(), visit()])
    for found in asked_both_ways(world, [visit(), lacking, lacking]):
        (warning,) = found["warnings"]
        assert (warning["field"], warning["row"], warning["rows"]) == ("visit_id", 1, 2)
        assert "'bought' can never be found" in warning["detail"]
        assert found["predictions"] == whole["predictions"]
    assert world.meter.counted.count(COUNTED) == 2


def test_a_warning_names_the_row_by_its_number_in_the_request(world: World) -> None:
    """Rows that were not answered are none of its."""
    rows = [3, visit(), without_id(page=None), without_id(), {}, without_id()]
    for found in asked_both_ways(world, rows, on_error="row"):
        (warning,) = found["warnings"]
        assert (warning["row"], warning["rows"]) == (3, 2)


def test_no_row_answered_is_no_row_warned_of(world: World) -> None:
    for found in asked_both_ways(world, [{}, 3], on_error="row"):
        assert "warnings" not in found


def test_a_client_gets_the_warnings(world: World) -> None:
    (found, _) = asked_both_ways(world, [without_id()])
    (warning,) = msgspec.json.decode(json.dumps(found), type=Predictions).warnings
    assert (warning.field, warning.rows) == ("visit_id", 1)


def test_rows_asked_over_kafka_are_counted(world: World) -> None:
    kafka = Kafka()
    questions = Questions(
        world.api, "will-buy", publish=kafka.publish, refuse=kafka.refuse, most_rows=64
    )
    questions.handle([Message(json.dumps({"rows": [without_id(), visit()]}).encode(), 1)])
    assert (len(kafka.rows), kafka.refused) == (2, {})
    assert world.meter.counted.count(COUNTED) == 1
