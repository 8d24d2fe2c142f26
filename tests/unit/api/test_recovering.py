"""What a killed predictor had not sent goes to Kafka once, however often that fails."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from predict_svc.api.journal import Entry, Journal
from predict_svc.api.recovering import Recovery
from twinstream.errors import MessageRefusedError, PublishError


class Topic:
    """Takes entries, refuses some for good, and fails at its `fails`-th call."""

    def __init__(self, fails: int = 0) -> None:
        self.taken: list[bytes] = []
        self.counts: Counter[str] = Counter()
        self._calls, self._fails = 0, fails

    def publish(self, entry: Entry) -> None:
        self._calls += 1
        if self._calls == self._fails:
            raise PublishError("no answer")
        if entry.value == b"too large":
            raise MessageRefusedError("never")
        self.taken.append(entry.value)

    def count(self, name: str, n: float) -> None:
        self.counts[name] += int(n)


def left(folder: Path, *values: bytes) -> None:
    journal = Journal(folder)
    for value in values:
        journal.keep(Entry(b"late", value))
    journal.close()


def test_all_is_sent_once_in_its_order_and_the_files_go(tmp_path: Path) -> None:
    left(tmp_path, b"1", b"2")
    left(tmp_path, b"3")
    topic = Topic()
    recovery = Recovery(tmp_path, topic.publish, topic.count)
    recovery.look()
    recovery.look()
    assert topic.taken == [b"1", b"2", b"3"]
    assert topic.counts == {"predict_events_recovered_total": 3}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("fails", [1, 2, 3])
def test_what_kafka_did_not_take_is_sent_at_the_next_look(tmp_path: Path, fails: int) -> None:
    left(tmp_path, b"1", b"2", b"3")
    topic = Topic(fails)
    recovery = Recovery(tmp_path, topic.publish, topic.count)
    recovery.look()
    assert len(topic.taken) == fails - 1
    recovery.look()
    assert topic.taken == [b"1", b"2", b"3"]


def test_what_kafka_never_takes_is_counted_as_lost_and_holds_up_nothing(tmp_path: Path) -> None:
    left(tmp_path, b"1", b"too large", b"3")
    topic = Topic()
    Recovery(tmp_path, topic.publish, topic.count).look()
    assert topic.taken == [b"1", b"3"]
    assert topic.counts["predict_events_lost_total"] == 1
    assert list(tmp_path.iterdir()) == []


def test_what_a_living_predictor_keeps_is_left_to_it(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.keep(Entry(b"late", b"1"))
    topic = Topic()
    Recovery(tmp_path, topic.publish, topic.count).look()
    assert topic.taken == []
    journal.close()
