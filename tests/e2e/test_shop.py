"""The whole mesh on the shop example, from files to predictions, with every service killed once and
epochs swapped under traffic.
"""

from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq
import pytest

import twinstream
from deploy.local import services
from preprocess_svc.batch.training_sets.assembly import digest_of
from preprocess_svc.batch.training_sets.building import FORMAT
from schemas.events import MetricObserved, PredictionServed
from schemas.topics import topic_of
from tests.e2e.shop import MODEL, Client, Shop, query
from twinstream.audit.another_model import otherwise
from twinstream.audit.compare import audit
from twinstream.audit.rebuild import rebuild
from twinstream.cli.main import run
from twinstream.mesh.events import EventReader
from twinstream.mesh.exit_codes import FAILED, OK
from twinstream.protocol.predictions import find_row, row_id

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(1200)]


def test_an_answer_contains_what_was_sent_before(shop: Shop) -> None:
    order = shop.orders[-1] | {"order_id": "mine", "amount": 12.5}
    before = shop.ask("predict", f"/v1/views/spending?key={order['shopper']}").body["features"][
        "orders_all"
    ]
    reached = shop.send("orders", [order])
    after = shop.ask(
        "predict", f"/v1/views/spending?key={order['shopper']}&min_position={query(reached)}"
    )
    assert after.status == 200, after.body
    assert after.body["features"]["orders_all"] == before + 1
    predicted = shop.predict(min_position=reached)
    assert predicted.status == 200, predicted.body
    ((partition, offset),) = reached["orders"].items()
    assert predicted.body["position"]["spending"]["raw"][str(partition)] >= offset
    assert 0.0 <= predicted.body["predictions"][0] <= 1.0


def test_predictions_go_on_while_services_are_killed(shop: Shop) -> None:
    client = Client(shop)
    client.start()
    for name in services.ALL:
        if name != "predict":
            pid = shop.mesh.kill(name)
            shop.mesh.wait_replaced(name, pid, 400)
    answers = client.end()
    assert len(answers) > 10
    assert {answer.status for answer in answers} == {200}, [
        a.body for a in answers if a.status != 200
    ][:3]
    pid = shop.mesh.kill("predict")
    shop.mesh.wait_replaced("predict", pid, 400)
    shop.wait(lambda: shop.predict().status == 200, "predictions after the predictor was killed")


def test_a_release_is_swapped_whole_under_traffic(shop: Shop) -> None:
    epoch = shop.release()["epoch"]
    client = Client(shop)
    client.start()
    shop.send(
        "visits", [visit | {"visit_id": f"again-{n}"} for n, visit in enumerate(shop.visits[-300:])]
    )
    shop.seal()
    shop.wait(lambda: shop.release()["epoch"] == epoch + 1, "the second epoch answers", 400)
    answered = len(client.answers)
    shop.wait(lambda: len(client.answers) > answered + 3, "answers of the new release")
    answers = client.end()
    assert {answer.status for answer in answers} == {200}, [
        a.body for a in answers if a.status != 200
    ][:3]
    releases = [answer.body["release"] for answer in answers]
    assert [int(r.split("-e")[1].split("-")[0]) for r in releases] == sorted(
        int(r.split("-e")[1].split("-")[0]) for r in releases
    )
    assert {r.rsplit("-", 1)[1] for r in releases} <= {digest[:8] for digest in shop.promoted()}
    for answer in answers:
        named = int(answer.body["release"].split("-e")[1].split("-")[0])
        assert {position["epoch"] for position in answer.body["position"].values()} == {named}


def test_predictions_of_all_releases_are_rebuilt_to_the_byte(shop: Shop) -> None:
    answer = shop.predict(extra_rows=2)
    assert answer.status == 200, answer.body
    last = f"{answer.body['id']}-2"
    shop.wait(
        lambda: any(find_row(event, last) for event in shop.events(PredictionServed)),
        "the prediction's event",
        30,
    )
    served = shop.events(PredictionServed)
    one_of_each = {str(event.release): row_id(event.id, 0) for event in reversed(served)}
    assert len({release.split("-e")[1] for release in one_of_each}) > 1
    for prediction_id in {*one_of_each.values(), last}:
        found = rebuild(shop.mesh.settings, prediction_id)
        assert (found.differing, found.same) == ({}, True), prediction_id
    for digest in {event.release.model for event in served}:
        other = otherwise(shop.mesh.settings, found, digest[:12])
        assert (other.output == found.output) == (digest == found.served.release.model)


def test_training_sets_are_listed_compared_exported_and_read(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    outside = msgspec.structs.replace(shop.mesh.settings, external=True)
    for name, value in outside.to_env().items():
        monkeypatch.setenv(name, value)

    def said(*command: str) -> list[Any]:
        capfd.readouterr()
        assert run(["dataset", *command, "--json"]) == OK
        return [msgspec.json.decode(line) for line in capfd.readouterr().out.splitlines()]

    listed = {one["epoch"]: one for one in said("list", MODEL)}
    first, second = (listed[epoch] for epoch in sorted(listed)[:2])
    assert shop.promoted() <= {digest for one in listed.values() for digest in one["trained"]}
    (shown,) = said("show", MODEL, first["digest"][:10])
    assert (shown["digest"], shown["parts"]["test"][1]) == (first["digest"], first["rows"])

    (found,) = said("diff", MODEL, str(first["epoch"]), str(second["epoch"]))
    assert (found["rows_first"], found["rows_both"]) == (0, first["rows"])
    assert (found["rows_second"], found["changed"]) == (second["rows"] - first["rows"], {})

    place = tmp_path / "exported"
    said("export", MODEL, str(second["epoch"]), "--out", str(place))
    table = twinstream.dataset(folder=place).to_table()
    assert digest_of_files(place) == twinstream.dataset(folder=place).manifest.digest
    rows = list(twinstream.dataset(folder=place).to_torch(256))
    moments = [moment for batch in rows for moment in batch.at_us.tolist()]
    assert sorted(moments) == table["_at_us"].to_pylist()
    assert table.num_rows == second["rows"]
    (built,) = said("build", MODEL, "--timeout", "300")
    assert built["epoch"] > max(listed)
    assert built["rows"] >= second["rows"]
    capfd.readouterr()
    assert run(["dataset", "export", MODEL, "--out", str(place)]) == FAILED
    assert "is there already" in capfd.readouterr().err


def digest_of_files(place: Path) -> str:
    """The content's digest, from the files alone."""
    found = twinstream.dataset(folder=place)
    digests = [digest_of(pq.read_table(path)) for path in found.paths]
    columns = [column.name for column in found.manifest.columns]
    return sha256(msgspec.json.encode([FORMAT, columns, digests])).hexdigest()


def test_every_service_tells_its_metrics(shop: Shop) -> None:
    missing = {"ingest", "speed", "view", "batch", "predict", "train", "monitor"}
    with EventReader(shop.mesh.settings, [topic_of(MetricObserved)]) as reader:
        events = reader.read_to_end(60.0)
        while missing:
            event = next(events)[0]
            missing -= {event.service} if isinstance(event, MetricObserved) else set()
    state = shop.ask("monitor", "/v1/state")
    assert state.status == 200
    assert state.body


def test_every_key_equals_the_fold_of_everything(shop: Shop) -> None:
    found = audit(shop.mesh.settings, shop.mesh.addresses["predict"], plain_one_in=5)
    assert found.compared > 300
    assert found.different == 0, found.examples
    assert found.plain_compared > 1000
    assert found.plain_different == 0, found.plain_examples
