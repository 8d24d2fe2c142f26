"""Kafka, the S3 server and the Hive metastore start, serve, and keep what they have over a
restart.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from deploy.local.hive import answers_thrift
from deploy.local.mesh import EmbeddedMesh
from schemas.events import DataArrived, FileRef
from schemas.topics import (
    CONTROL_TOPICS,
    all_topics,
    dead_letter,
    partials_folded,
    records_accepted,
    topic_of,
)
from twinstream.mesh.events import EventPublisher, EventReader
from twinstream.mesh.object_store import ObjectStore
from twinstream.mesh.settings import MeshSettings
from twinstream.mesh.topics_admin import ensure_topics

pytestmark = pytest.mark.engine
EVENT = DataArrived(source="weather", files=[FileRef(uri="s3://b/k", sha256="00")], format="csv")


def publish(settings: MeshSettings) -> None:
    publisher = EventPublisher(settings, "/tests")
    publisher.publish(EVENT, key="weather")
    publisher.flush()


def events(settings: MeshSettings) -> list[object]:
    with EventReader(settings, [topic_of(DataArrived)]) as reader:
        return [event for event, _ in reader.read_to_end()]


def test_an_event_comes_back_equal_when_published(kafka_settings: MeshSettings) -> None:
    publish(kafka_settings)
    assert EVENT in events(kafka_settings)


def test_every_control_topic_exists_when_the_broker_is_ready(kafka_settings: MeshSettings) -> None:
    with EventReader(kafka_settings, [topic.name for topic in CONTROL_TOPICS]) as reader:
        assert reader.lag() >= 0


def test_every_topic_keeps_what_is_stated(kafka_settings: MeshSettings) -> None:
    stated = {topic.name: topic.retention_ms for topic in all_topics(["orders"], ["spending"])}
    ensure_topics(kafka_settings, all_topics(["orders"], ["spending"]))
    admin = AdminClient(kafka_settings.kafka_client())
    asked = admin.describe_configs([ConfigResource(ResourceType.TOPIC, name) for name in stated])
    assert {
        resource.name: int(found.result(30)["retention.ms"].value)
        for resource, found in asked.items()
    } == stated
    assert stated[records_accepted("orders")] == -1
    assert 0 < stated[partials_folded("spending")] <= stated[dead_letter("ingest")]


def test_a_version_is_read_again_when_the_object_was_replaced(mesh_settings: MeshSettings) -> None:
    store = ObjectStore(mesh_settings)
    first = store.put(mesh_settings.raw_bucket, "a", b"one")
    store.put(mesh_settings.raw_bucket, "a", b"two")
    assert store.get(mesh_settings.raw_bucket, "a", first) == b"one"
    assert store.put(mesh_settings.bucket, "a", b"one") is None


def test_the_metastore_answers_when_it_is_ready(hive: str) -> None:
    assert answers_thrift(int(hive.rsplit(":", 1)[1]))


def test_nothing_is_lost_when_the_mesh_goes_down_and_up(tmp_path: Path) -> None:
    with EmbeddedMesh(tmp_path, engines=["kafka", "s3"]) as mesh:
        publish(mesh.settings)
        version = ObjectStore(mesh.settings).put(mesh.settings.raw_bucket, "k", b"kept")
        addresses = mesh.addresses
    with EmbeddedMesh(tmp_path, engines=["kafka", "s3"]) as mesh:
        assert mesh.addresses == addresses
        assert events(mesh.settings) == [EVENT]
        assert ObjectStore(mesh.settings).get(mesh.settings.raw_bucket, "k", version) == b"kept"


def test_nothing_is_lost_when_the_broker_is_killed(embedded: Callable[..., EmbeddedMesh]) -> None:
    mesh = embedded(engines=["kafka"])
    publish(mesh.settings)
    mesh.wait_replaced("kafka", mesh.kill("kafka", signal.SIGKILL))
    assert events(mesh.settings) == [EVENT]
