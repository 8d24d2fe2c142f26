"""Nothing that was read is lost when Kafka refuses what comes behind it."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from confluent_kafka import KafkaError

from monitor_svc.adapters import kafka_topics
from monitor_svc.reading import waiting_back_us
from tests.unit.mesh.fakes import Message
from tests.unit.monitor.world import DAY, state
from twinstream.errors import NotRunningError
from twinstream.mesh.settings import MeshSettings


class Read(Message):
    def error(self) -> None:
        return None


class Failed(Message):
    def error(self) -> KafkaError:
        return KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)


class Consumer:
    """Of no partitions; gives what it was given."""

    script: ClassVar[list[Any]] = []

    def __init__(self, _: object) -> None: ...

    def assign(self, _: object) -> None: ...

    def poll(self, _: float) -> Any:
        return self.script.pop(0) if self.script else None


def test_what_was_read_before_an_error_is_returned_before_it_is_raised(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kafka_topics, "Consumer", Consumer)
    topics = kafka_topics.Topics(MeshSettings(pipeline="none"), [])
    first, second = Read(b"1"), Read(b"2")
    monkeypatch.setattr(Consumer, "script", [first, Failed(), second])
    assert topics.poll(10, 0.0) == [first, second]
    with pytest.raises(NotRunningError):
        topics.poll(10, 0.0)
    monkeypatch.setattr(Consumer, "script", [second])
    assert topics.poll(10, 0.0) == [second]


@pytest.mark.parametrize(("lookback", "horizon", "days"), [(30, 1, 30), (30, 90, 180), (0.5, 1, 2)])
def test_what_may_still_wait_for_its_label_is_read_again(
    lookback: float, horizon: int, days: int
) -> None:
    world = state(lookback_days=lookback)
    world.pipeline.models[0].label.horizon_us = horizon * DAY
    assert waiting_back_us(world) == days * DAY
