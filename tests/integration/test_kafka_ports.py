"""What the ports over Kafka do: on a real broker, and on the fakes that stand for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from uuid import uuid4

import pytest

from ingest_svc.adapters.kafka_log import KafkaLog
from ingest_svc.http_api.kafka_raw_producer import KafkaRawProducer
from ingest_svc.log_writer import LogMessage
from ingest_svc.ports import Place
from predict_svc.api.messages import NotReadyError
from predict_svc.api.raw_ends import RawEnds
from schemas.events import MetricObserved, SealRequested
from schemas.packs import BARRIER, PackHeader, encode_pack
from schemas.topics import (
    data_topics,
    dead_letter,
    records_accepted,
    topic_of,
)
from tests.unit.api.fakes import FakeEnds, FakeLifecycle
from tests.unit.ingest.test_http_api import Kafka
from tests.unit.mesh.fakes import Message, Sinks
from tests.unit.train.fakes import FromTopic, Topic
from twinstream.errors import MessageRefusedError
from twinstream.mesh import topics_admin
from twinstream.mesh.dead_letters import DeadLetters
from twinstream.mesh.events import EventPublisher, EventReader, pass_over
from twinstream.mesh.metrics import Metrics
from twinstream.mesh.settings import MeshSettings

pytestmark = pytest.mark.engine
BOUND_S = 30.0


@pytest.fixture
def settings(kafka_settings: MeshSettings) -> MeshSettings:
    topics_admin.ensure(kafka_settings)
    return kafka_settings


def until(reached: Callable[[], object]) -> None:
    give_up = time.monotonic() + BOUND_S
    while not reached():
        assert time.monotonic() < give_up
        time.sleep(0.02)


class Ways(NamedTuple):
    """A Publisher (Events), and a new Reader of what it publishes."""

    publisher: Any
    reader: Callable[[], Any]


@pytest.fixture(params=["trainer's fake", "activation's fake", "kafka"])
def ways(request: pytest.FixtureRequest) -> Ways:
    if request.param == "trainer's fake":
        topic = Topic()
        return Ways(topic, lambda: FromTopic(topic))
    if request.param == "activation's fake":
        kept = Topic()

        def reader() -> FakeLifecycle:
            made = FakeLifecycle()
            made.events = list(kept.events)
            return made

        return Ways(kept, reader)
    settings = request.getfixturevalue("settings")
    return Ways(
        EventPublisher(settings, "/tests"),
        lambda: EventReader(settings, [topic_of(SealRequested)], refused=pass_over),
    )


def test_each_reader_gets_every_event_once_and_in_order(ways: Ways) -> None:
    """Of Publisher, Events and Reader."""
    own = uuid4().hex
    wanted = [f"{own}-{i}" for i in range(20)]
    for reason in wanted:
        event = SealRequested(reason=reason, requested_at_us=time.time_ns() // 1000)
        ways.publisher.publish(event, key="one", wait=reason.endswith("0"))
    ways.publisher.publish(SealRequested(reason=f"{own}-end"), key="one")
    for _ in range(2):
        reader, found = ways.reader(), list[str]()
        give_up = time.monotonic() + BOUND_S
        while f"{own}-end" not in found:
            assert time.monotonic() < give_up
            got = reader.poll(0.2)
            if got is not None and got[0].reason.startswith(own):
                found.append(got[0].reason)
        assert found == [*wanted, f"{own}-end"]
        assert reader.poll(0.2) is None
        if hasattr(reader, "lag"):
            assert reader.lag() == 0
        if hasattr(reader, "at_end"):
            assert reader.at_end()


def test_an_event_that_no_broker_takes_is_refused(settings: MeshSettings) -> None:
    fake = Topic()
    fake.too_large = SealRequested
    for publisher in (fake, EventPublisher(settings, "/tests")):
        with pytest.raises(MessageRefusedError):
            publisher.publish(SealRequested(reason="x" * 9_000_000))


def letters_of(settings: MeshSettings, own: str) -> list[tuple[dict[str, bytes], bytes]]:
    with EventReader(settings, [dead_letter("ingest")]) as reader:
        found = [(dict(m.headers()), m.value()) for m in reader.messages_to_end()]
    return [(h, v) for h, v in found if own.encode() in h["dead_letter_reason"]]


def test_letters_keep_kind_reason_and_trace(settings: MeshSettings) -> None:
    """Of Letters."""
    own = uuid4().hex
    sinks = Sinks()
    for letters in (sinks, DeadLetters(settings, "ingest")):
        for kind in ("permanent", "bug"):
            message = Message(data=b"\xff\x00original", at=7, of="t", name=b"k")
            letters.put_message(message, f"{own} {kind}", kind=kind, trace=f"trace of {kind}")
    written = [
        tuple(h[f"dead_letter_{name}"].decode() for name in ("kind", "reason", "trace"))
        for h, _ in letters_of(settings, own)
    ]
    assert sorted(written) == sorted(sinks.letters)
    for headers, value in letters_of(settings, own):
        assert value == b"\xff\x00original"
        assert headers["dead_letter_offset"] == b"7"
        assert headers["dead_letter_key"] == b"k"


def test_a_dead_letter_sink_has_all_once_it_was_flushed(settings: MeshSettings) -> None:
    """Of DeadLetterSink."""
    own = uuid4().hex
    sink = DeadLetters(settings, "ingest")
    for offset in range(50):
        sink.put(
            b"x", own, topic="raw", partition=0, offset=offset, wait=False, carried=[("a", b"b")]
        )
    sink.flush()
    found = letters_of(settings, own)
    assert [int(h["dead_letter_offset"]) for h, _ in found] == list(range(50))
    assert all(h["original_a"] == b"b" for h, _ in found)


def test_a_meter_adds_counts_and_keeps_the_last_gauge(settings: MeshSettings) -> None:
    """Of Meter and MetricSink."""
    own = f"contract_{uuid4().hex[:8]}"
    metrics = Metrics(settings, "tests", flush_every_s=3600.0)
    sinks = Sinks()
    for meter in (sinks, metrics):
        meter.count(f"{own}_total", 2, kind="a")
        meter.count(f"{own}_total", kind="a")
    metrics.gauge(f"{own}_now", 1.0, "rows")
    metrics.gauge(f"{own}_now", 7.0, "rows")
    metrics.observe(f"{own}_ms", 3.0, "ms")
    metrics.gauge(f"{own}_now", float("nan"))
    metrics.close()
    with EventReader(settings, [topic_of(MetricObserved)]) as reader:
        found = {e.name: e for e, _ in reader.read_to_end() if isinstance(e, MetricObserved)}
    assert found[f"{own}_total"].value == sinks.counted[f"{own}_total:a"] == 3
    assert found[f"{own}_total"].labels == {"kind": "a"}
    assert (found[f"{own}_now"].value, found[f"{own}_now"].unit) == (7.0, "rows")
    assert found[f"{own}_ms"].quantiles["p50"] == 3.0


@pytest.fixture
def source(settings: MeshSettings) -> str:
    name = f"orders-{uuid4().hex[:8]}"
    topics_admin.ensure_topics(settings, data_topics([name], []))
    return name


@pytest.fixture(params=["fake", "kafka"])
def raw(request: pytest.FixtureRequest, settings: MeshSettings) -> Iterator[Any]:
    if request.param == "fake":
        yield Kafka()
        return
    producer = KafkaRawProducer(settings, BOUND_S)
    yield producer
    producer.close()


def test_raw_says_where_the_last_record_of_each_partition_is(raw: Any, source: str) -> None:
    """Of Raw."""
    ends: dict[int, int] = {}
    for count in (1, 30):
        found = raw.send(source, [(b"one key", b"{}")] * count)
        assert len(found) == 1
        for partition, offset in found.items():
            assert offset - ends.get(partition, -1) == count
        ends = found


def answers(ends: RawEnds, source: str) -> bool:
    """A broker may not yet lead a topic that was just made."""
    try:
        return bool(ends([source], 0.0))
    except NotReadyError:
        return False


def test_raw_ends_are_the_last_offsets_and_their_age_is_told(
    settings: MeshSettings, source: str
) -> None:
    """Of RawEnds."""
    producer = KafkaRawProducer(settings, BOUND_S)
    real = RawEnds(settings, [source], 0.0)
    fake = FakeEnds()
    before = dict.fromkeys(range(settings.partitions), -1)
    fake.before = fake.now = {source: before}
    until(lambda: answers(real, source))
    for ends in (real, fake):
        assert ends([source], 0.0) == {source: before}
    sent = producer.send(source, [(b"k", b"{}")] * 3)
    producer.close()
    after = before | sent
    fake.now = {source: after}
    for ends in (real, fake):
        assert ends([source], 0.0) == {source: after}
        at_end, behind = ends.age_ms(source, after), ends.age_ms(source, before)
        assert at_end is not None
        assert behind is not None
        assert 0 <= at_end <= behind


def test_the_log_confirms_in_order_and_all_of_it_when_flushed(
    settings: MeshSettings, source: str
) -> None:
    """Of Log."""
    log = KafkaLog(settings, {source: None}, BOUND_S, threading.Event())
    places = [Place(source, partition) for partition in range(settings.partitions)]
    for epoch in range(1, 21):
        for place in places:
            header = PackHeader(
                kind=BARRIER, epoch=epoch, rows=0, raw_first=0, raw_last=-1, raw_high=-1
            )
            log.send(place, LogMessage(header, encode_pack(header, None)))
    confirmed = log.flush()
    for place in places:
        mine = [each for each in confirmed if each.place == place]
        assert [each.offset for each in mine] == list(range(20))
        assert [each.header.epoch for each in mine] == list(range(1, 21))
    assert log.confirmed() == []
    with EventReader(settings, [records_accepted(source)]) as reader:
        assert len(list(reader.messages_to_end())) == 20 * len(places)
