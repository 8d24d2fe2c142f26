"""A worker knows what it holds only after its group has spoken."""

from __future__ import annotations

from ingest_svc.assignment import Assignment


class Now:
    """A clock."""

    s = 100.0

    def __call__(self) -> float:
        return self.s


def test_a_new_worker_waits_for_its_group() -> None:
    now = Now()
    found = Assignment(now)
    now.s += 7
    assert not found.known
    assert found.waited_s == 7


def test_no_partition_is_an_answer_too() -> None:
    found = Assignment(Now())
    found.given([])
    assert found.known
    assert found.waited_s == 0


def test_losing_some_partitions_is_not_losing_the_group() -> None:
    found = Assignment(Now())
    found.given([1, 2])
    found.taken([1])
    assert found.known


def test_a_worker_that_lost_all_waits_from_then_on() -> None:
    now = Now()
    found = Assignment(now)
    found.given([1, 2])
    found.taken([1, 2])
    now.s += 5
    assert not found.known
    found.taken([2])  # lost, after it was taken
    now.s += 5
    assert found.waited_s == 10
    found.given([2])
    assert found.waited_s == 0


def test_the_time_in_which_kafka_is_away_does_not_count() -> None:
    now = Now()
    found = Assignment(now)
    now.s += 50
    found.excused()
    now.s += 5
    assert (found.known, found.waited_s) == (False, 5)
    found.given([1])
    found.excused()
    assert found.known
