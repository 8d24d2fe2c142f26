"""Spoilt events on every control topic of a real mesh: no process ends, and the next good event
gets through.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from deploy.local.mesh import EmbeddedMesh
from schemas import events as ev
from schemas.topics import CONTROL_TOPICS, dead_letter, topic_of
from tests.integration.test_model_services import SMALL, publish_training_set, wait_for
from tests.poison.corpus import NOT_EVENTS, event_topics, spoilt_events
from tests.unit.train.material import SHOP
from twinstream.mesh.events import EventReader, headers_of
from twinstream.mesh.heartbeat import read_beat
from twinstream.mesh.settings import MeshSettings

pytestmark = pytest.mark.engine
EACH = 60
SERVICES = ("ingest", "speed", "view", "predict", "train", "monitor")


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[EmbeddedMesh]:
    engines = ["kafka", "s3"]
    made = EmbeddedMesh(tmp_path, pipeline=SHOP, services=SERVICES, engines=engines, env=SMALL)
    try:
        yield made.start().wait_ready(240)
    finally:
        made.stop()


def throw(settings: MeshSettings) -> dict[str, int]:
    """Spoilt events to all control topics; how many of each no reader may believe."""
    producer = Producer(settings.kafka_client())
    certain: dict[str, int] = {}
    for seed, topic in enumerate(event_topics()):
        for spoilt in islice(spoilt_events(topic, seed), EACH):
            producer.produce(topic, value=spoilt.value, headers=list(spoilt.headers))
            certain[topic] = certain.get(topic, 0) + spoilt.certain
    for topic in {topic.name for topic in CONTROL_TOPICS} - set(event_topics()):
        for value in NOT_EVENTS:
            producer.produce(topic, value=value, headers=[("dead_letter_offset", value[:100])])
    assert producer.flush(30) == 0
    return certain


def letters(settings: MeshSettings, service: str) -> list[tuple[str, str, str]]:
    """Topic, partition and offset of what a service could not handle, as its dead letters say."""
    names = ("topic", "partition", "offset")
    with EventReader(settings, [dead_letter(service)]) as reader:
        found = [dict(headers_of(m)) for m in iter(lambda: reader.poll_raw(3.0), None)]
    places = [
        tuple(head.get(f"dead_letter_{n}", b"").decode(errors="replace") for n in names)
        for head in found
    ]
    return [place for place in places if place[0]]  # type: ignore[misc]


def ready(settings: MeshSettings, name: str) -> Callable[[], Any]:
    def caught_up() -> bool:
        beat = read_beat(settings.run_folder() / f"{name}.json")
        return beat is not None and beat.ready and not beat.lag

    return caught_up


def test_spoilt_events_end_no_process_and_good_ones_get_through(mesh: EmbeddedMesh) -> None:
    settings = mesh.settings
    pids = {name: mesh.pid(name) for name in SERVICES}
    certain = throw(settings)
    publish_training_set(settings, epoch=1)
    wait_for(lambda: [e for e in events_of_ours(settings) if e.model == "will-buy"])
    for name in SERVICES:
        wait_for(ready(settings, name))
    assert {name: mesh.pid(name) for name in SERVICES} == pids
    read = {
        "train": ("train.model", "preprocess.training", "monitor.retrain"),
        "monitor": ("train", "mesh", "predict.pred"),
    }
    for service, prefixes in read.items():
        found = letters(settings, service)
        assert len(found) == len(set(found)), "a dead letter is there twice"
        for topic in (t for t in certain if t.startswith(prefixes)):
            assert sum(place[0] == topic for place in found) >= certain[topic]
    with urllib.request.urlopen(
        f"http://{settings.http_host}:{settings.monitor_port}/v1/state", timeout=10
    ) as answer:
        body = answer.read()
    assert json.loads(body)["caught_up"]
    assert len(body) < 3_000_000
    mesh.restart("train")
    mesh.restart("monitor")
    for name in SERVICES:
        wait_for(ready(settings, name))
    for service in read:
        found = letters(settings, service)
        assert len(found) == len(set(found)), "a restart made a dead letter again"


def events_of_ours(settings: MeshSettings) -> list[Any]:
    def nothing(*_: object) -> None:
        """What is refused is no concern of this test's."""

    with EventReader(settings, [topic_of(ev.ModelPromoted)], refused=nothing) as reader:
        found = [event for event, _ in reader.read_to_end()]
    return [e for e in found if isinstance(e, ev.ModelPromoted) and e.metrics.get("train_rows")]
