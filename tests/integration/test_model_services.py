"""A training set becomes a model that answers over HTTP: the real train and predict services with a
real broker, S3 server and view.
"""

from __future__ import annotations

import http.client
import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from io import BytesIO
from typing import Any

import msgspec
import psutil
import pyarrow.parquet as pq
import pytest
from confluent_kafka import Producer

from deploy.local.mesh import EmbeddedMesh
from schemas.events import (
    Event,
    FileRef,
    ModelPromoted,
    ModelRejected,
    ModelTrained,
    PredictionServed,
    RetrainRequested,
)
from schemas.topics import dead_letter, prediction_asked, topic_of
from tests.unit.train.material import SHOP, learnable, published, shop, statistics
from twinstream.cli.main import run
from twinstream.mesh.events import EventPublisher, EventReader
from twinstream.mesh.exit_codes import FAILED, OK
from twinstream.mesh.object_store import ObjectStore
from twinstream.mesh.settings import MeshSettings
from twinstream.protocol.predictions import asked_id, predictions_of, row_id

pytestmark = pytest.mark.engine
SMALL = {
    "TWINSTREAM_TRAIN_TUNER": "in-process",
    "TWINSTREAM_TRAIN_CANDIDATES": "2",
    "TWINSTREAM_TRAIN_MAX_EPOCHS": "4",
    "TWINSTREAM_TRAIN_MARGIN": "-0.5",
    "TWINSTREAM_TRAIN_LEAST_TEST_ROWS": "0",
    "TWINSTREAM_TRAIN_BATCH_SIZE": "256",
    "TWINSTREAM_PREDICT_WAIT_BOUND_S": "0.3",
}
ROW = {
    "shopper": "s1",
    "page": "/",
    "country": "c1",
    "mobile": True,
    "visited_at": 1_700_000_000_000_000,
}


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedMesh]:
    made = EmbeddedMesh(
        tmp_path_factory.mktemp("models"),
        pipeline=SHOP,
        services=["view", "train", "predict"],
        engines=["kafka", "s3"],
        env=SMALL,
    )
    try:
        yield made.start().wait_ready(240)
    finally:
        made.stop()


def publish_training_set(settings: MeshSettings, epoch: int, rows: int = 1500) -> None:
    pipeline, table = shop(), learnable(shop(), rows=rows, seed=epoch)
    store, prefix = ObjectStore(settings), f"shop/training/will-buy/epoch={epoch:08d}"
    data = BytesIO()
    pq.write_table(table, data)
    store.put(settings.bucket, f"{prefix}/part.parquet", data.getvalue())
    store.put(
        settings.bucket,
        f"{prefix}/statistics.json",
        msgspec.json.encode(statistics(pipeline, table)),
    )
    where = f"s3://{settings.bucket}/{prefix}"
    file = FileRef(uri=f"{where}/part.parquet", sha256=sha256(data.getvalue()).hexdigest())
    event = published(
        pipeline,
        table,
        epoch=epoch,
        digest=f"set-{epoch}",
        files=(file,),
        uri=f"{where}/statistics.json",
    )
    EventPublisher(settings, "/test").publish(event, key="will-buy")


def wait_for(found: Callable[[], Any], bound_s: float = 120.0) -> Any:
    give_up = time.monotonic() + bound_s
    while not (value := found()):
        if time.monotonic() > give_up:
            raise TimeoutError("did not happen in time")
        threading.Event().wait(0.05)
    return value


def events(settings: MeshSettings, kind: type[Event]) -> list[Any]:
    with EventReader(settings, [topic_of(kind)]) as reader:
        return [event for event, _ in reader.read_to_end() if isinstance(event, kind)]


def ask(
    settings: MeshSettings,
    method: str,
    path: str,
    body: object = None,
    connection: http.client.HTTPConnection | None = None,
) -> tuple[int, Any]:
    own = connection or http.client.HTTPConnection(
        settings.http_host, settings.predict_port, timeout=10
    )
    try:
        own.request(method, path, None if body is None else json.dumps(body))
        response = own.getresponse()
        return response.status, json.loads(response.read())
    finally:
        if connection is None:
            own.close()


def release(settings: MeshSettings) -> str | None:
    found: str | None = ask(settings, "GET", "/v1/releases")[1]["models"]["will-buy"]["release"]
    return found


def test_a_training_set_becomes_a_promoted_model_that_answers(mesh: EmbeddedMesh) -> None:
    settings = mesh.settings
    assert ask(settings, "POST", "/v1/predict/will-buy", {"rows": [ROW]})[0] == 503
    publish_training_set(settings, epoch=1)
    promoted = wait_for(lambda: events(settings, ModelPromoted))[0]
    trained = events(settings, ModelTrained)[0]
    assert trained.metrics["auc"] > 0.6
    assert (trained.model_digest, trained.training_set_digest) == (promoted.model_digest, "set-1")
    files = {"model.safetensors", "model.onnx", "config.json", "metrics.json"}
    assert set(trained.version_ids) == files
    assert all(trained.version_ids.values())
    named = wait_for(lambda: release(settings))
    assert named.endswith(promoted.model_digest[:8])
    status, answer = ask(
        settings, "POST", "/v1/predict/will-buy", {"rows": [ROW, {**ROW, "country": None}]}
    )
    assert (status, answer["release"], len(answer["predictions"])) == (200, named, 2)
    served = wait_for(
        lambda: [
            row
            for event in events(settings, PredictionServed)
            if event.id == answer["id"]
            for row in predictions_of(event)
        ]
    )
    assert [e.output for e in served] == answer["predictions"]
    assert served[1].features["country"] is None
    assert served[0].features["by-shopper.visits_1h"] == 0.0
    assert served[0].features["spending.amount_24h"] is None


def test_bad_requests_and_absent_positions_are_told(mesh: EmbeddedMesh) -> None:
    settings = mesh.settings
    status, answer = ask(
        settings, "POST", "/v1/predict/will-buy", {"rows": [ROW, {"shopper": "s"}]}
    )
    assert (status, "row 1: page" in answer["error"]) == (400, True)
    status, answer = ask(
        settings,
        "POST",
        "/v1/predict/will-buy",
        {"rows": [ROW], "min_position": {"orders": {"0": 5}}},
    )
    assert (status, "did not reach" in answer["error"]) == (504, True)
    assert (
        ask(settings, "POST", "/v1/predict/will-buy", {"rows": [ROW], "max_staleness_ms": 1000})[0]
        == 200
    )
    status, answer = ask(settings, "GET", "/v1/views/by-shopper?key=s1&at=2024-01-01T00:00:00Z")
    assert (status, answer["features"]["visits_1h"], answer["features"]["seconds_24h"]) == (
        200,
        0.0,
        None,
    )


def sent(settings: MeshSettings, *values: bytes) -> list[tuple[str, int, int]]:
    """Where in the topic of questions each is."""
    places: list[tuple[str, int, int]] = []
    producer = Producer(settings.kafka_client())
    for value in values:
        producer.produce(
            prediction_asked("will-buy"),
            value,
            on_delivery=lambda _, m: places.append((m.topic(), m.partition(), m.offset())),
        )
        assert producer.flush(20) == 0
    return places


def test_questions_over_kafka_are_answered_under_the_ids_of_their_messages(
    mesh: EmbeddedMesh,
) -> None:
    settings = mesh.settings
    rows = [ROW, {**ROW, "shopper": "s22"}]
    expected = ask(settings, "POST", "/v1/predict/will-buy", {"rows": rows})[1]["predictions"]
    good, bad = json.dumps({"rows": rows}).encode(), b'{"rows": [{}]}'
    places = sent(settings, good, bad, b"\xff", good)

    def served() -> dict[str, float]:
        found = [row for e in events(settings, PredictionServed) for row in predictions_of(e)]
        return {row.id: row.output for row in found}

    wanted = {
        row_id(asked_id(*places[message]), row): expected[row]
        for message in (0, 3)
        for row in (0, 1)
    }
    wait_for(lambda: wanted.keys() <= served().keys())
    assert {name: output for name, output in served().items() if name in wanted} == wanted
    letters: list[bytes | None] = []
    with EventReader(settings, [dead_letter("predict")]) as reader:

        def told() -> bool:
            letters.extend(message.value() for message in reader.messages_to_end())
            return len(letters) > 1

        wait_for(told)
    assert set(letters) == {bad, b"\xff"}


def test_no_request_fails_and_no_answer_is_mixed_while_models_are_swapped(
    mesh: EmbeddedMesh,
) -> None:
    settings = mesh.settings
    EventPublisher(settings, "/test").publish(
        RetrainRequested(model="will-buy", reason="test", requested_at_us=time.time_ns() // 1000),
        key="will-buy",
    )
    publish_training_set(settings, epoch=2)
    wait_for(lambda: len(events(settings, ModelTrained)) > 1)
    wait_for(
        lambda: len(events(settings, ModelPromoted)) + len(events(settings, ModelRejected)) > 1
    )
    both = [
        ModelPromoted(
            model=t.model,
            model_digest=t.model_digest,
            uri=t.uri,
            version_ids=t.version_ids,
            definition_digest=t.definition_digest,
            metrics={},
        )
        for t in events(settings, ModelTrained)[:2]
    ]
    assert both[0].model_digest != both[1].model_digest
    publisher, expected = EventPublisher(settings, "/test"), {}
    for event in both:
        publisher.publish(event, key="will-buy")
        named = wait_for(
            lambda e=event: (
                (found := release(settings)) and found.endswith(e.model_digest[:8]) and found
            )
        )
        expected[named] = ask(settings, "POST", "/v1/predict/will-buy", {"rows": [ROW]})[1][
            "predictions"
        ][0]
    stop, wrong, answered = threading.Event(), [], []
    threads = [
        threading.Thread(target=load, args=(settings, stop, expected, wrong, answered))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for i in range(10):
        publisher.publish(both[i % 2], key="will-buy")
        wait_for(
            lambda e=both[i % 2]: (
                (found := release(settings)) and found.endswith(e.model_digest[:8])
            )
        )
    stop.set()
    for thread in threads:
        thread.join(20)
    assert wrong == []
    assert set(answered) == set(expected)


def load(
    settings: MeshSettings,
    stop: threading.Event,
    expected: dict[str, float],
    wrong: list[Any],
    answered: list[str],
) -> None:
    connection = http.client.HTTPConnection(settings.http_host, settings.predict_port, timeout=10)
    while not stop.is_set():
        status, answer = ask(settings, "POST", "/v1/predict/will-buy", {"rows": [ROW]}, connection)
        if status != 200 or expected.get(answer["release"]) != answer["predictions"][0]:
            wrong.append((status, answer))
        else:
            answered.append(answer["release"])
    connection.close()


@pytest.fixture
def here(mesh: EmbeddedMesh, monkeypatch: pytest.MonkeyPatch) -> MeshSettings:
    """The mesh as the one of the commands that this process gives."""
    settings = mesh.settings
    for name, value in msgspec.structs.replace(settings, external=True).to_env().items():
        monkeypatch.setenv(name, value)
    return settings


def listed(capfd: pytest.CaptureFixture[str]) -> dict[str, str]:
    """State by digest, as the command says."""
    capfd.readouterr()
    assert run(["models", "list", "will-buy", "--json"]) == OK
    lines = [msgspec.json.decode(line) for line in capfd.readouterr().out.splitlines()]
    return {line["digest"]: line["state"] for line in lines}


def serves(capfd: pytest.CaptureFixture[str]) -> str:
    return next(digest for digest, state in listed(capfd).items() if state == "serves")


def asked_model(settings: MeshSettings) -> str:
    """What an answer names as its model."""
    status, answer = ask(settings, "POST", "/v1/predict/will-buy", {"rows": [ROW]})
    assert status == 200
    return str(answer["release"]).rsplit("-", 1)[1]


def test_an_operator_promotes_rolls_back_and_holds(
    mesh: EmbeddedMesh, here: MeshSettings, capfd: pytest.CaptureFixture[str]
) -> None:
    first = serves(capfd)
    other = next(digest for digest, state in listed(capfd).items() if state == "served before")
    assert run(["models", "promote", "will-buy", other[:10], "--why", "a look"]) == OK
    assert (serves(capfd), asked_model(here)) == (other, other[:8])
    assert run(["models", "rollback", "will-buy"]) == OK
    assert (serves(capfd), asked_model(here)) == (first, first[:8])

    assert run(["models", "hold", "will-buy", "--why", "audit"]) == OK
    publish_training_set(here, epoch=12)
    held = wait_for(
        lambda: [e for e in events(here, ModelRejected) if e.reason.startswith("held by")]
    )
    assert "audit" in held[0].reason
    assert (serves(capfd), asked_model(here)) == (first, first[:8])
    assert run(["models", "promote", "will-buy", held[0].model_digest]) == OK
    assert asked_model(here) == held[0].model_digest[:8]

    killed = mesh.kill("predict", signal.SIGKILL)
    mesh.wait_replaced("predict", killed)
    wait_for(lambda: release(here))
    assert asked_model(here) == held[0].model_digest[:8]
    assert run(["models", "rollback", "will-buy", "--to", first]) == OK
    assert asked_model(here) == first[:8]
    assert run(["models", "hold", "will-buy", "--release"]) == OK


def test_a_candidate_is_asked_beside_the_model_and_can_be_rebuilt(
    here: MeshSettings, capfd: pytest.CaptureFixture[str]
) -> None:
    served = serves(capfd)
    other = next(digest for digest, state in listed(capfd).items() if state == "served before")
    assert run(["models", "shadow", "will-buy", other]) == OK
    assert listed(capfd)[other] == "asked beside"
    status, answer = ask(here, "POST", "/v1/predict/will-buy", {"rows": [ROW] * 3})
    assert (status, answer["release"].rsplit("-", 1)[1]) == (200, served[:8])
    (event,) = wait_for(lambda: [e for e in events(here, PredictionServed) if e.id == answer["id"]])
    assert event.shadow.model_digest == other
    assert run(["rebuild", f"{answer['id']}-2"]) == OK
    assert run(["models", "shadow", "will-buy", "--stop"]) == OK
    alone = ask(here, "POST", "/v1/predict/will-buy", {"rows": [ROW]})[1]
    (event,) = wait_for(lambda: [e for e in events(here, PredictionServed) if e.id == alone["id"]])
    assert event.shadow is None
    assert run(["models", "promote", "will-buy", other]) == OK
    as_served = ask(here, "POST", "/v1/predict/will-buy", {"rows": [ROW] * 3})[1]
    assert as_served["predictions"] == shadow_outputs(here, answer["id"])
    assert run(["models", "rollback", "will-buy"]) == OK


def test_a_canary_answers_its_share_of_the_keys(
    here: MeshSettings, capfd: pytest.CaptureFixture[str]
) -> None:
    served = serves(capfd)
    other = next(digest for digest, state in listed(capfd).items() if state == "served before")
    assert run(["models", "canary", "will-buy", other, "--share", "0.5"]) == OK
    assert listed(capfd)[other] == "answers a share"
    rows = [{**ROW, "shopper": f"s{i}"} for i in range(20)]
    first, again = (models_of(here, rows) for _ in range(2))
    assert first == again
    assert set(first) == {served[:8], other[:8]}
    assert run(["models", "canary", "will-buy", other, "--share", "1"]) == OK
    status, answer = ask(here, "POST", "/v1/predict/will-buy", {"rows": rows})
    assert (status, answer["release"].rsplit("-", 1)[1]) == (200, other[:8])
    wait_for(lambda: [e for e in events(here, PredictionServed) if e.id == answer["id"]])
    assert run(["rebuild", f"{answer['id']}-7"]) == OK
    assert run(["models", "canary", "will-buy", "--stop"]) == OK
    assert set(models_of(here, rows)) == {served[:8]}


def models_of(settings: MeshSettings, rows: list[dict[str, Any]]) -> list[str]:
    """What answers each row, asked alone."""
    answers = [ask(settings, "POST", "/v1/predict/will-buy", {"rows": [row]})[1] for row in rows]
    return [answer["release"].rsplit("-", 1)[1] for answer in answers]


def shadow_outputs(settings: MeshSettings, request: str) -> list[float]:
    (event,) = [e for e in events(settings, PredictionServed) if e.id == request]
    found: list[float] = event.shadow.outputs
    return found


def test_a_model_whose_files_are_broken_is_refused_and_one_that_breaks_later_does_not_answer(
    here: MeshSettings, capfd: pytest.CaptureFixture[str]
) -> None:
    before, store = serves(capfd), ObjectStore(here)
    good = events(here, ModelTrained)[-1]  # of an older one the trainer would make another
    assert good.model_digest != before
    weights = store.get_uri(f"{good.uri}/model.safetensors")
    torn = f"s3://{here.model_bucket}/torn"
    files = {name: store.get_uri(f"{good.uri}/{name}") for name in good.version_ids}
    files["model.safetensors"] = weights[:-1] + bytes([weights[-1] ^ 1])
    ids = {name: store.put_uri(f"{torn}/{name}", data) or "" for name, data in files.items()}
    broken = msgspec.structs.replace(good, model_digest="broken", uri=torn, version_ids=ids)
    publisher = EventPublisher(here, "/test")
    judged = ModelRejected(model="will-buy", model_digest="broken", reason="", metrics={})
    for event in (judged, broken):  # the trainer has nothing left to say
        publisher.publish(event, key="will-buy")
    decisions = len(events(here, ModelPromoted))
    capfd.readouterr()
    assert run(["models", "promote", "will-buy", "broken"]) == FAILED
    assert "nothing is changed" in capfd.readouterr().err
    assert len(events(here, ModelPromoted)) == decisions

    publisher.publish(
        ModelPromoted(
            model="will-buy",
            model_digest="broken",
            uri=torn,
            version_ids=ids,
            definition_digest=good.definition_digest,
            metrics={},
            by="somebody",
        ),
        key="will-buy",
    )
    reason = wait_for(lambda: ask(here, "GET", "/v1/releases")[1]["models"]["will-buy"]["reason"])
    assert "digest" in reason
    assert asked_model(here) == before[:8]
    assert run(["models", "rollback", "will-buy"]) == OK
    wait_for(lambda: not ask(here, "GET", "/v1/releases")[1]["models"]["will-buy"]["reason"])
    assert (serves(capfd), asked_model(here)) == (before, before[:8])


def test_a_killed_predictor_leaves_no_worker_and_answers_the_same_after_its_restart(
    mesh: EmbeddedMesh,
) -> None:
    settings, before = mesh.settings, release(mesh.settings)
    prediction = ask(settings, "POST", "/v1/predict/will-buy", {"rows": [ROW]})[1]["predictions"]
    workers = psutil.Process(mesh.pid("predict")).children(recursive=True)
    killed = mesh.kill("predict", signal.SIGKILL)
    wait_for(lambda: not any(runs(worker) for worker in workers))
    mesh.wait_replaced("predict", killed)
    assert wait_for(lambda: release(settings)) == before
    assert (
        ask(settings, "POST", "/v1/predict/will-buy", {"rows": [ROW]})[1]["predictions"]
        == prediction
    )


def runs(process: psutil.Process) -> bool:
    """Whether it still does something: a zombie waits to be collected, whoever its parent has
    become.
    """
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_killed_trainer_trains_what_is_left(mesh: EmbeddedMesh) -> None:
    settings = mesh.settings
    mesh.stop_one("train")
    publish_training_set(settings, epoch=3)
    mesh.start_one("train")
    found = wait_for(
        lambda: [e for e in events(settings, ModelTrained) if e.training_set_digest == "set-3"]
    )
    assert len(found) == 1


def test_a_corrupt_training_set_is_rejected_and_named(mesh: EmbeddedMesh) -> None:
    settings = mesh.settings
    pipeline, table = shop(), learnable(shop(), rows=100)
    ObjectStore(settings).put(settings.bucket, "torn.parquet", b"torn")
    file = FileRef(uri=f"s3://{settings.bucket}/torn.parquet", sha256="0" * 64)
    event = published(
        pipeline,
        table,
        epoch=4,
        digest="set-4",
        files=(file,),
        uri=f"s3://{settings.bucket}/statistics.json",
    )
    EventPublisher(settings, "/test").publish(event, key="will-buy")
    rejected = wait_for(
        lambda: [e for e in events(settings, ModelRejected) if e.model_digest == "set:set-4"]
    )
    assert "torn.parquet has sha256" in rejected[0].reason
