"""The whole service over a real broker: what services publish comes out as state, metrics and requests; a restart changes nothing."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import msgspec
import pytest
from confluent_kafka import Producer

from monitor_svc import wiring
from monitor_svc.adapters.kafka_topics import Topics
from monitor_svc.service import SERVICE
from monitor_svc.settings import MonitorSettings
from schemas import events as ev
from schemas.topics import data_topics, records_accepted, topic_of
from tests.unit.monitor.world import HOUR, arrivals, pack, pipeline, prediction, scores_and_labels
from twinstream.define.pipeline import Pipeline
from twinstream.mesh.dead_letters import DeadLetters
from twinstream.mesh.ending import Ending
from twinstream.mesh.events import EventPublisher, EventReader
from twinstream.mesh.heartbeat import read_beat
from twinstream.mesh.process import Process
from twinstream.mesh.settings import MeshSettings
from twinstream.mesh.topics_admin import ensure_topics

pytestmark = pytest.mark.engine
N = 2500
KNOBS = MonitorSettings(quality_step=50)


@pytest.fixture
def mesh(kafka_settings: MeshSettings) -> MeshSettings:
    return msgspec.structs.replace(kafka_settings, clock="replay", monitor_port=0)


def renamed(model: str, source: str) -> Pipeline:
    """The test's definition with a model and a label source of this test's own, because the broker is shared."""
    definition = pipeline()
    definition.models[0].name, definition.models[0].label.source.name = model, source
    return definition


@contextmanager
def monitor(
    mesh: MeshSettings, definition: Pipeline, port_of: list[int], monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """Runs the service in a thread; gives the page's address."""

    class Noting(wiring.PageServer):
        def __init__(self, *arguments: object, **more: object) -> None:
            super().__init__(*arguments, **more)  # type: ignore[arg-type]
            port_of.append(self.port)

    monkeypatch.setattr(wiring, "PageServer", Noting)
    process, before = Process(SERVICE, mesh, KNOBS, definition, Ending(4.0)), len(port_of)
    thread = threading.Thread(target=wiring.run, args=(process,))
    thread.start()
    try:
        wait(lambda: len(port_of) > before)
        yield f"http://127.0.0.1:{port_of[-1]}"
    finally:
        process.stopping.set()
        thread.join(10)
        assert not thread.is_alive()


def wait(condition: Callable[[], object], bound_s: float = 60.0) -> None:
    give_up = time.monotonic() + bound_s
    while not condition():
        assert time.monotonic() < give_up, "did not happen in time"
        threading.Event().wait(0.1)


def state(address: str) -> dict:
    with urllib.request.urlopen(f"{address}/v1/state", timeout=10) as answer:
        return json.load(answer)


def model_in(address: str, name: str) -> dict:
    return next(model for model in state(address)["models"] if model["name"] == name)


def publish_world(mesh: MeshSettings, model: str, source: str) -> None:
    """Predictions and labels in bulk, as after a long absence, of a model that knows little; and one event of each other kind."""
    publisher, producer = EventPublisher(mesh, "/test"), Producer(mesh.kafka_client(linger_ms=5))
    for i, (score, label) in enumerate(zip(*scores_and_labels(N, 0.2), strict=True)):
        at = (i + 1) * 60_000_000
        event = msgspec.structs.replace(
            prediction(f"f{i}", at, float(score), served_us=time.time_ns() // 1000), model=model
        )
        publisher.publish(event, wait=False)
        if i % 50:  # every 50th never arrives
            producer.produce(
                records_accepted(source),
                pack([(f"f{i}", at + HOUR, 30 if label else 0)], i),
                partition=i % 2,
            )
        producer.poll(0)
    for partition in range(2):
        producer.produce(
            records_accepted(source),
            pack([("end", N * 60_000_000 + 30 * HOUR, 0)], N + 1),
            partition=partition,
        )
    producer.produce(records_accepted(source), b"nonsense", partition=0)
    producer.flush(20)
    publisher.publish(
        ev.ModelPromoted(
            model=model,
            model_digest="m1",
            uri="",
            version_ids={},
            definition_digest="d",
            metrics={"auc": 0.8},
        )
    )
    DeadLetters(mesh, "ingest", publisher).put(b"{", "no JSON", topic="raw", partition=0, offset=7)
    publisher.flush()


def recent_letters(address: str) -> list[dict]:
    """Dead letters, which are read on a topic of their own."""
    found: list[dict] = state(address)["dead_letters"]["recent"]
    return found


def test_service_joins_measures_asks_and_survives_a_restart(
    mesh: MeshSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = uuid4().hex[:8]
    model, source, ports = f"late-{own}", f"arrivals-{own}", []
    monkeypatch.setattr(arrivals, "name", source)
    definition = renamed(model, source)
    ensure_topics(mesh, data_topics([source], []))
    requests = EventReader(mesh, [topic_of(ev.RetrainRequested)])
    publish_world(mesh, model, source)
    with monitor(mesh, definition, ports, monkeypatch) as address:
        wait(lambda: state(address)["caught_up"])
        wait(lambda: model_in(address, model)["labelled"] == N)
        shown = model_in(address, model)
        assert shown["labels"] == {"arrived": N - N // 50, "missing": N // 50, "revised": 0}
        assert shown["pending"] == 0
        wait(lambda: "no JSON" in [line["reason"] for line in recent_letters(address)])
        asked = [event for event, _ in requests.read_to_end() if event.model == model]
        wait(
            lambda: asked.extend(e for e, _ in requests.read_to_end() if e.model == model) or asked
        )
        assert asked[0].reason.startswith("quality: AUC 0.5")
        check_http(address)
        check_heartbeat(mesh)
    with monitor(mesh, definition, ports, monkeypatch) as address:
        wait(lambda: state(address)["caught_up"])
        wait(lambda: model_in(address, model)["labelled"] == N)
        again = model_in(address, model)
        assert (again["labels"], again["now"]["auc_all"]) == (
            shown["labels"],
            shown["now"]["auc_all"],
        )
    assert [event for event, _ in requests.read_to_end() if event.model == model] == []


def check_http(address: str) -> None:
    for path in ("/", "/page/app.js", "/page/vendor/uplot/uPlot.iife.min.js", "/livez", "/readyz"):
        with urllib.request.urlopen(address + path, timeout=10) as answer:
            assert answer.status == 200
    with urllib.request.urlopen(f"{address}/v1/stream", timeout=10) as stream:
        lines = iter(stream.readline, b"")
        tick = json.loads(next(line for line in lines if line.startswith(b"data: "))[6:])
    assert tick["second"] > 0
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"{address}/page/../settings.py", timeout=10)


def check_heartbeat(mesh: MeshSettings) -> None:
    beat = read_beat(Path(mesh.data) / "run" / "monitor.json")
    assert beat.ready
    assert beat.lag is not None


def test_a_reader_has_caught_up_before_it_stands_at_an_end_that_moves_on(
    mesh: MeshSettings,
) -> None:
    source, n = f"arrivals-{uuid4().hex[:8]}", 20
    ensure_topics(mesh, data_topics([source], []))
    producer = Producer(mesh.kafka_client(linger_ms=5))
    for number in range(n):
        producer.produce(records_accepted(source), b"x", partition=number % 2)
    assert producer.flush(20) == 0
    topics = Topics(mesh, [records_accepted(source)])
    try:
        assert not topics.caught_up()
        read: list[object] = []
        while len(read) < n:
            assert not topics.caught_up()
            producer.produce(records_accepted(source), b"later", partition=len(read) % 2)
            assert producer.flush(20) == 0
            read += [message for message in topics.poll(1, 10.0) if message.value() == b"x"]
        assert topics.caught_up()
        assert not topics.at_end()
    finally:
        topics.close()
