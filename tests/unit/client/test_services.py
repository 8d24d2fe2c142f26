"""The client against our services' own routes, over HTTP: what they answer is what it knows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from examples.shop.ask import ask
from ingest_svc.http_api.flask_api import Api, make_app
from ingest_svc.http_api.sending import Gate
from ingest_svc.validation import Screen
from predict_svc.api.routes import application
from tests.unit.api.fakes import World, visit
from tests.unit.client.server import serving_app
from tests.unit.ingest.test_http_api import SOURCE, Kafka, Meter
from twinstream.client import (
    Client,
    InvalidInputError,
    NameNotFoundError,
    Retries,
    UnavailableError,
)
from twinstream.define.records import Decoder
from twinstream.mesh.clock import ManualClock

GOOD = {"order": "1", "buyer": 42, "at": 1_700_000_000_000_000}


@pytest.fixture
def kafka() -> Kafka:
    return Kafka()


@pytest.fixture
def ingest(kafka: Kafka) -> Iterator[Client]:
    api = Api(
        gates={"orders": Gate(SOURCE, Screen(Decoder(SOURCE), 1000))},
        raw=kafka,
        events=kafka,
        meter=Meter(),
        clock=ManualClock(5),
        away=lambda: kafka.known,
    )
    with (
        serving_app(make_app(api)) as url,
        Client(ingest=url, retries=Retries(most=1), timeout_s=10.0) as client,
    ):
        yield client


@pytest.fixture
def predict() -> Iterator[Client]:
    world = World()
    world.promote(seed=1)
    with serving_app(application(world.api)) as url, Client(predict=url) as client:
        yield client


def test_records_are_taken_and_the_bad_ones_named(ingest: Client, kafka: Kafka) -> None:
    found = ingest.publish_records("orders", [GOOD, {"order": "2"}, GOOD | {"order": "3"}])
    assert (found.accepted, [one.index for one in found.rejected]) == (2, [1])
    assert found.position == {"orders": {1: 1}}
    assert len(kafka.records) == 2


def test_a_bad_record_alone_is_an_error(ingest: Client) -> None:
    with pytest.raises(InvalidInputError, match="buyer"):
        ingest.publish_record("orders", {"order": "2", "at": 1})
    with pytest.raises(NameNotFoundError, match="it has orders"):
        ingest.publish_record("sales", GOOD)


def test_kafka_away_is_unavailable_after_the_attempts(ingest: Client, kafka: Kafka) -> None:
    kafka.known = "Kafka does not answer"
    with pytest.raises(UnavailableError, match="Kafka does not answer"):
        ingest.publish_record("orders", GOOD)


def test_files_are_announced_to_ingest(ingest: Client, kafka: Kafka) -> None:
    assert ingest.publish_files("orders", ["s3://b/k.csv"]).accepted == 1
    assert kafka.events[0].files[0].uri == "s3://b/k.csv"


def test_predictions_and_views_are_decoded(predict: Client) -> None:
    found = predict.predict("will-buy", [visit(), visit("s22")])
    assert len(found.predictions) == 2
    assert found.position["spending"].raw == {0: 10, 1: 10}
    view = predict.view("spending", "s1")
    assert (view.key, view.features["orders_24h"]) == ("s1", 3.0)


def test_a_refused_row_is_named(predict: Client) -> None:
    with pytest.raises(InvalidInputError) as caught:
        predict.predict("will-buy", [visit(), visit(mobile="perhaps")])
    assert (caught.value.row, caught.value.field) == (1, "mobile")
    with pytest.raises(NameNotFoundError, match="will-buy"):
        predict.predict("will-sell", visit())


def test_the_example_reads_its_own_write(capsys: pytest.CaptureFixture[str]) -> None:
    world, taken = World(), Kafka()
    world.promote(seed=1)
    visits = world.pipeline.source("visits")
    api = Api(
        gates={"visits": Gate(visits, Screen(Decoder(visits), 1000))},
        raw=taken,
        events=taken,
        meter=Meter(),
        clock=ManualClock(5),
    )
    with (
        serving_app(make_app(api)) as ingest,
        serving_app(application(world.api)) as predict,
        Client(predict=predict, ingest=ingest) as mesh,
    ):
        assert 0.0 < ask(mesh, "s1") < 1.0
    assert len(taken.records) == 1
    assert "orders_24h" in capsys.readouterr().out
