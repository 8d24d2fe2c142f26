"""A process says that Kafka is away only after a bound, why, and no longer than it is."""

from __future__ import annotations

from twinstream.errors import NotRunningError
from twinstream.mesh.kafka.reach import AWAY_AFTER_S, Reach


class Broker:
    """Answers, or not; `now` is the clock."""

    def __init__(self) -> None:
        self.up, self.now = True, 100.0

    def ask(self) -> None:
        if not self.up:
            raise NotRunningError("topic t: refused")

    def clock(self) -> float:
        return self.now


def test_kafka_is_away_after_a_bound_and_back_at_once() -> None:
    broker = Broker()
    reach = Reach("host:1", broker.ask, broker.clock)
    broker.up = False
    reach.look()
    assert reach.away == ""
    broker.now += AWAY_AFTER_S
    reach.look()
    assert reach.away == "Kafka at host:1 has not answered for 5 s (topic t: refused)"
    broker.up = True
    reach.look()
    assert reach.away == ""


def test_a_question_that_hangs_counts_as_no_answer() -> None:
    broker = Broker()
    reach = Reach("host:1", broker.ask, broker.clock)
    broker.now += AWAY_AFTER_S
    assert "host:1" in reach.away
